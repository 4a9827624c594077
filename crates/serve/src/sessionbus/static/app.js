// Keeps the page fresh, sends answers without leaving it, and tells of new requests if the person wants that.
"use strict";

const POLL_MS = 10_000;
const QUESTION_LENGTH = 180;
let known = null;

// A request that is still there keeps its element: with it stay a half-typed answer, the focus and an open context.
function merge(section, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  for (const item of fresh.content.querySelectorAll(".request-item")) {
    const old = section.querySelector(`.request-item[data-request-id="${CSS.escape(item.dataset.requestId)}"]`);
    if (old) item.dataset.keep = "";
  }
  const list = section.querySelector(".request-list");
  const next = fresh.content.querySelector(".request-list");
  if (!list || !next) {
    section.replaceChildren(fresh.content);
    return;
  }
  const wanted = [...next.children];
  const stays = new Set(wanted.map((item) => item.dataset.requestId));
  for (const old of [...list.children]) if (!stays.has(old.dataset.requestId)) old.remove();
  let place = list.firstElementChild;
  for (const item of wanted) {
    if ("keep" in item.dataset) {
      // Moving an element takes its focus away, so one that stands where it belongs is left alone.
      const old = list.querySelector(`[data-request-id="${CSS.escape(item.dataset.requestId)}"]`);
      if (old === place) place = place.nextElementSibling;
      else list.insertBefore(old, place);
    } else {
      list.insertBefore(item, place);
    }
  }
}

async function refresh() {
  for (const section of document.querySelectorAll("[data-refresh-url]")) {
    try {
      const answer = await fetch(section.dataset.refreshUrl, { cache: "no-store" });
      if (answer.ok) merge(section, await answer.text());
    } catch {
      // The daemon is away for a moment; the next event or poll tries again.
    }
  }
  announce();
}

let running = null;
let again = false;
function soon() {
  if (running) {
    again = true;
    return;
  }
  running = refresh().finally(() => {
    running = null;
    if (again) {
      again = false;
      soon();
    }
  });
}

function announce() {
  const items = [...document.querySelectorAll(".request-item[data-request-id]")];
  const before = known;
  known = new Set(items.map((item) => item.dataset.requestId));
  if (!before || !("Notification" in window) || Notification.permission !== "granted") return;
  for (const item of items) {
    const id = item.dataset.requestId;
    if (before.has(id)) continue;
    const text = (selector) => item.querySelector(selector)?.textContent.trim() ?? "";
    const question = text(".question");
    const cut = question.length > QUESTION_LENGTH ? `${question.slice(0, QUESTION_LENGTH)}…` : question;
    new Notification(`AgentFlow: ${text(".title")}`, {
      body: `Priority: ${text(".priority")}\nSession: ${text("code")}\n${cut}`,
      tag: `agentflow-request-${id}`,
    });
  }
}

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(typeof said.detail === "string" ? said.detail : `It failed (${answer.status}).`);
  return said;
}

async function act(form, work) {
  const status = form.querySelector(".inline-response-status");
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  try {
    status.textContent = await work();
    soon();
  } catch (error) {
    status.textContent = error.message;
    buttons.forEach((button) => (button.disabled = false));
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest(".inline-response-form");
  if (!form) return;
  event.preventDefault();
  const id = encodeURIComponent(form.dataset.requestId);
  if (event.submitter?.classList.contains("inline-dismiss-button")) {
    act(form, async () => {
      const { status } = await post(`/api/requests/${id}/dismiss`, {});
      return status === "DISMISSED" ? "Dismissed." : "Already handled.";
    });
    return;
  }
  const text = form.querySelector("[name=response_text]").value.trim();
  const responder = form.querySelector("[name=responder]").value || "human";
  if (!text) {
    form.querySelector(".inline-response-status").textContent = "Write an answer first.";
    return;
  }
  act(form, async () => {
    await post(`/api/requests/${id}/respond`, { response_text: text, responder });
    return "Sent.";
  });
});

function notifications() {
  const button = document.querySelector("[data-enable-notifications]");
  const state = document.querySelector("[data-notification-state]");
  if (!button || !state) return;
  const show = () => {
    const permission = "Notification" in window ? Notification.permission : "unsupported";
    button.hidden = permission !== "default";
    state.textContent =
      { granted: "Notifications are on.", denied: "Notifications are blocked in this browser." }[permission] ?? "";
  };
  button.addEventListener("click", () => Notification.requestPermission().then(show, show));
  show();
}

notifications();
if (document.querySelector("[data-refresh-url]")) {
  announce();
  if ("EventSource" in window) {
    const events = new EventSource("/api/events?sessions=1");
    events.onopen = soon;
    events.onmessage = soon;
    events.addEventListener("session", soon);
    // That nobody has heard of an agent is no event.
    setInterval(soon, POLL_MS * 3);
  } else {
    setInterval(soon, POLL_MS);
  }
}
