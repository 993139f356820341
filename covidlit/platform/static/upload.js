"use strict";

// Files go in pieces; each begins where the server says that the file ends, so that a break loses
// nothing and nothing is sent twice.
const form = document.getElementById("sending");
const said = document.getElementById("said");

// Errors of the API are problem JSON; a proxy in between may answer something else.
async function problemOf(answer) {
  const kind = answer.headers.get("content-type") || "";
  if (!kind.includes("json")) return `the server answered ${answer.status}.`;
  return answer.status === 401 ? "the session has ended: log in again." : (await answer.json()).detail;
}

async function sizeOf(name) {
  const answer = await fetch(`${form.dataset.file}?${new URLSearchParams({ name })}`);
  if (!answer.ok) throw new Error(await problemOf(answer));
  return (await answer.json()).size;
}

async function sendPiece(name, offset, piece, of) {
  const answer = await fetch(`${form.dataset.file}?${new URLSearchParams({ name, offset, of })}`, {
    method: "PUT",
    headers: { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value },
    body: piece,
  });
  // 409: the file ends elsewhere; the answer says where to go on.
  if (!answer.ok && answer.status !== 409) throw new Error(await problemOf(answer));
  return (await answer.json()).size;
}

async function send() {
  const files = [...document.getElementById("files").files, ...document.getElementById("folder").files];
  if (!files.length) {
    said.textContent = "Choose files first.";
    return;
  }
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const most = Number(form.dataset.most);
  let before = 0;
  document.getElementById("send").disabled = document.getElementById("done").disabled = true;
  try {
    for (const file of files) {
      const name = file.webkitRelativePath || file.name;
      const of = `${file.size} ${file.lastModified}`;
      let size = await sizeOf(name);
      // Asked even where all has come: another file of this name is told apart.
      if (size >= file.size) size = await sendPiece(name, 0, file.slice(0, most), of);
      while (size < file.size) {
        size = await sendPiece(name, size, file.slice(size, size + most), of);
        document.getElementById("progress").value = (before + size) / Math.max(1, total);
      }
      before += file.size;
      said.textContent = `${name} is sent.`;
    }
    document.getElementById("progress").value = 1;
    said.textContent = files.length === 1 ? "1 file is sent." : `${files.length} files are sent.`;
    document.getElementById("done").disabled = false;
  } catch (error) {
    said.textContent = `Sending stopped: ${error.message} Send again to go on.`;
  }
  document.getElementById("send").disabled = false;
}

if (form) document.getElementById("send").addEventListener("click", send);

const waiting = document.querySelector("[data-job]");
async function watch() {
  const answer = await fetch(waiting.dataset.job);
  if (!answer.ok) return;
  const job = await answer.json();
  const more = [job.progress, job.message].filter(Boolean).join(". ");
  const state = job.n_before === null ? job.state : `${job.state}, ${job.n_before} before it`;
  waiting.textContent = [state, more].filter(Boolean).join(": ");
  if (job.is_over) {
    if (watch.running) location.reload();
    return;
  }
  watch.running = true;
  setTimeout(watch, 2000);
}
if (waiting) watch();
