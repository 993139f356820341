"""Django's settings, made from the folder that `COVIDLIT_PLATFORM` names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from covidlit.platform.database import database_settings
from covidlit.platform.folder import current_folder, origin_of
from covidlit.platform.logs import logging_settings

FOLDER = current_folder()
_OWN = FOLDER.settings

SECRET_KEY = FOLDER.secret
DEBUG = False
ALLOWED_HOSTS = _OWN.hosts
PLATFORM_TITLE = _OWN.title

INSTALLED_APPS = [
    "covidlit.platform.accounts",
    "covidlit.platform.registry",
    "covidlit.platform.audit",
    "covidlit.platform.jobs",
    "covidlit.platform.intake",
    "covidlit.platform.api",
    "covidlit.platform.sending",
    "covidlit.platform.clinical",
    "covidlit.platform.directory",
    "covidlit.platform.grading",
    "covidlit.platform.correcting",
    "covidlit.platform.exporting",
    "covidlit.platform.dicomweb",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_tasks_db",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "covidlit.platform.operation.requests.Told",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "covidlit.platform.accounts.middleware.WithoutNulls",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "covidlit.platform.accounts.middleware.LimitedSessions",
    "covidlit.platform.directory.middleware.CheckedAgain",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "covidlit.platform.accounts.middleware.NotStored",
    "django.contrib.messages.middleware.MessageMiddleware",
    "covidlit.platform.accounts.middleware.AccountFirst",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "covidlit.platform.urls"
WSGI_APPLICATION = "covidlit.platform.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "covidlit.platform.context.platform",
            ]
        },
    }
]

DATABASES = {"default": database_settings(FOLDER)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
JOB_KINDS = {
    "take in": "covidlit.platform.intake.take_in.take_in",
    "read a clinical table": "covidlit.platform.clinical.read_table.read_table",
    "measure": "covidlit.platform.measuring.measure.measure",
    "correct": "covidlit.platform.measuring.correct.correct",
    "export": "covidlit.platform.exporting.training_set.export",
    "fetch": "covidlit.platform.dicom_in.fetch.fetch",
    "send": "covidlit.platform.sending.send.send",
}

# People: local accounts with a second factor; a password is long rather than odd.
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
ACCOUNT_ADAPTER = "covidlit.platform.accounts.adapter.PlatformAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
ACCOUNT_PREVENT_ENUMERATION = True
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if _OWN.https else 0  # whose log-ins are throttled
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = _OWN.title
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL

# The hospital's own accounts. Local accounts are asked first; none is reached by another's name.
DIRECTORIES = {}
DIRECTORY_LOG_IN = bool(_OWN.oidc.server)
SOCIALACCOUNT_ADAPTER = "covidlit.platform.directory.oidc.DirectoryAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_STORE_TOKENS = True  # with which groups are asked for again
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {}
if _OWN.oidc.server:
    DIRECTORIES["oidc"] = "covidlit.platform.directory.oidc.Oidc"
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "hospital",
                "name": "the hospital",
                "client_id": _OWN.oidc.client_id,
                "secret": _OWN.oidc.client_secret(),
                "settings": {"server_url": _OWN.oidc.server, "scope": _OWN.oidc.scopes},
            }
        ],
    }
if _OWN.ldap.server:
    from covidlit.platform.directory.ldap_settings import ldap_settings

    DIRECTORIES["ldap"] = "covidlit.platform.directory.ldap.Ldap"
    AUTHENTICATION_BACKENDS.append("covidlit.platform.directory.ldap.DirectoryBackend")
    locals().update(ldap_settings(_OWN.ldap))

# Sessions end when the browser closes, after a time without a click, and after a time in any case.
SESSION_COOKIE_AGE = round(60 * _OWN.sessions.idle_minutes)
SESSION_SAVE_EVERY_REQUEST = True
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_LONGEST_SECONDS = round(3600 * _OWN.sessions.longest_hours)
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _OWN.https
if _OWN.https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in _OWN.hosts]

# Nothing is fetched from other hosts, and no script stands in a page.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        # A form that leads to the hospital's log-in is followed there.
        "form-action": ["'self'", *filter(None, [origin_of(_OWN.oidc.server)])],
        "frame-ancestors": ["'none'"],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = FOLDER.root / "static"
STATICFILES_DIRS = [Path(__file__).parent / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
FILE_UPLOAD_TEMP_DIR = FOLDER.uploads
FILE_UPLOAD_HANDLERS = ["covidlit.platform.intake.form_files.SmallFiles"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 << 20
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "platform_cache",
    }
}
"""Counts of failed log-ins, which all processes share."""

LOGGING = logging_settings(_OWN.operation.log)

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
