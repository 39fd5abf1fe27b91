// The page: one feed, three lists, and beside them the open job, the form or a welcome.

import { announce, byId, setAttr, setText } from "./dom.js";
import { away, call, whenLoginIsNeeded } from "./api.js";
import { Feed } from "./feed.js";
import { Form } from "./form.js";
import { JobView } from "./job.js";
import { setUpLogin } from "./login.js";
import { QueueView } from "./queue.js";
import { Servers } from "./servers.js";
import { welcome } from "./welcome.js";

const side = byId("side");
const queue = new QueueView();
const servers = new Servers();
let setup = null;
let form = null;
let view = null; // the open JobView
let isOpening = true;
const dropped = []; // files that wait for the form

const feed = new Feed({
  state: showLink,
  queue: (data) => {
    const wasEmpty = queue.isEmpty;
    queue.take(data);
    if (isOpening || wasEmpty !== queue.isEmpty) { isOpening = false; if (!view && route() === "") open(); }
  },
  servers: (data) => servers.take(data),
  job: (data) => view && view.id === data.id && view.show(data),
  text: (data) => view && view.id === data.id && view.text(data),
  gone: (data) => view && view.id === data.id && view.gone(data.message),
  trouble: (data) => notice(data.message),
});

function showLink(state) {
  const words = { live: "live", connecting: "connecting", away: "away" };
  setText(byId("link").lastElementChild, words[state]);
  setAttr(byId("link"), "data-state", state);
  if (state === "live") notice("");
  if (state === "away") notice(away);
}

function notice(message) {
  byId("notice").hidden = !message;
  setText(byId("notice"), message);
}

const route = () => (location.hash.startsWith("#/") ? decodeURIComponent(location.hash.slice(2)) : "");

function go(hash) {
  if (location.hash === hash) open();
  else location.hash = hash;
}

/** Show what the address says. */
function open() {
  const to = route();
  const job = to.startsWith("job/") ? to.slice(4) : null;
  document.body.dataset.view = job ? "job" : to === "new" ? "new" : "list";
  setAttr(byId("new"), "aria-current", to === "new" ? "page" : null);
  queue.select(job);
  if (feed.job !== job || feed.isClosed) feed.open(job);
  if (job && view && view.id === job) return;
  if (view) view.close();
  view = null;
  if (job) {
    view = new JobView(job, go);
    side.replaceChildren(view.node);
    view.title.focus({ preventScroll: true });
  } else if (to === "new" && setup) {
    if (!form) form = new Form(setup, go);
    side.replaceChildren(form.node);
    form.node.querySelector("h2").focus({ preventScroll: true });
  } else side.replaceChildren(...(isOpening ? [] : [welcome(queue.isEmpty)]));
  side.hidden = isOpening && !side.children.length;
  scrollTo({ top: 0 });
  side.scrollTop = 0;
}

function setUpDrop() {
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  const show = (is) => { byId("drop").hidden = !is; };
  addEventListener("dragenter", (event) => { if (hasFiles(event)) { depth += 1; show(true); } });
  addEventListener("dragleave", (event) => { if (hasFiles(event)) { depth -= 1; if (depth <= 0) show(false); } });
  addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    dropped.push(...event.dataTransfer.files);
    take();
  });
}

/** Put what was dropped into the form, once there is one. */
function take() {
  if (!setup || !dropped.length) return;
  if (!form) form = new Form(setup, go);
  form.add(dropped.splice(0));
  go("#/new");
}

function setUpKeys() {
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("main").focus(); });
  addEventListener("keydown", (event) => {
    const isText = event.target.closest("input, textarea, select");
    if (event.key === "Escape" && !byId("login").open && route()) {
      const row = view && queue.rows.get(view.id);
      go("#/");
      if (row) row.link.focus();
    } else if (event.key === "n" && !isText && !event.ctrlKey && !event.metaKey && !event.altKey && !byId("login").open) {
      event.preventDefault();
      go("#/new");
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.matches(".row")) {
      const links = [...document.querySelectorAll(".row")];
      const next = links[links.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) { event.preventDefault(); next.focus(); }
    }
  });
}

async function start() {
  try {
    const session = await call("/session");
    if (session.is_needed && !session.name) return login();
    byId("logout").hidden = !session.name;
    byId("logout").title = session.name ? `logged in as ${session.name}` : "";
    setup = await call("/page/setup");
  } catch (error) {
    if (error.status === 401) return; // the login calls this again
    showLink("away");
    setTimeout(start, 1500);
    return;
  }
  form = null;
  open();
  take();
}

const login = setUpLogin(() => { announce("Logged in"); start(); });
whenLoginIsNeeded(login);
byId("logout").addEventListener("click", async () => {
  feed.close();
  try {
    await call("/logout", {});
  } finally {
    location.replace("/");
  }
});
addEventListener("hashchange", open);
setUpDrop();
setUpKeys();
start();
