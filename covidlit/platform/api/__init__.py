"""The REST API, `/api/v1/`: what the pages show, for programs, by tokens or a session.

models, tokens    tokens: made, found, revoked
authenticate      who calls, and with which rights; each operation names the one it needs
problems          errors as RFC 9457 has them
operations        how an operation is registered, and the API as a whole
schemas           what is answered; `*_schemas` of one group of operations
account, patients, scans, labellings, factors, clinical, grades, corrections, sendings, exports,
jobs, uploads, trail    the operations
views             the pages of tokens and of the API
urls              its addresses
"""
