// The page: one feed, three lists, and beside them the open job or group, the servers, the form or a
// welcome.

import { announce, byId, setAttr, setText } from "./dom.js";
import { away, call, whenLoginIsNeeded } from "./api.js";
import { Feed } from "./feed.js";
import { Form } from "./form.js";
import { GroupView } from "./group.js";
import { JobView } from "./job.js";
import { setUpLogin } from "./login.js";
import { Pauses } from "./pauses.js";
import { ServersView } from "./places.js";
import { QueueView } from "./queue.js";
import { Servers } from "./servers.js";
import { welcome } from "./welcome.js";

const side = byId("side");
const queue = new QueueView();
const servers = new Servers();
const pauses = new Pauses();
let setup = null;
let form = null;
let view = null; // the open JobView, GroupView or ServersView
let isOpening = true;
const dropped = []; // files that wait for the form

const feed = new Feed({
  state: showLink,
  queue: (data) => {
    const wasEmpty = queue.isEmpty;
    queue.take(data);
    if (pauses.take(data.paused) && view && view.redraw) view.redraw();
    if (isOpening || wasEmpty !== queue.isEmpty) { isOpening = false; if (!view && route() === "") open(); }
  },
  servers: (data) => servers.take(data),
  job: (data) => view && view.id === data.id && view.show(data),
  group: (data) => view && view.id === data.group.id && view.show(data),
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
  const group = to.startsWith("group/") ? to.slice(6) : null;
  document.body.dataset.view = job || group ? "job" : ["new", "servers"].includes(to) ? to : "list";
  setAttr(byId("new"), "aria-current", to === "new" ? "page" : null);
  setAttr(byId("places"), "aria-current", to === "servers" ? "page" : null);
  queue.select(job || group);
  if (feed.job !== job || feed.group !== group || feed.isClosed) feed.open(job, group);
  if ((job || group) && view && view.id === (job || group)) return;
  if (view) view.close();
  view = null;
  if (job || group || (to === "servers" && setup)) {
    view = job ? new JobView(job, go, () => (setup ? setup.servers : [])) : group ? new GroupView(group) : new ServersView(setup.sees_all, () => pauses.paused);
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
      const within = view && view.job && view.job.group && queue.rows.get(view.job.group);
      go("#/");
      if (row && row.node.isConnected) row.link.focus();
      else if (within) within.link.focus();
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
    pauses.allow(setup.sees_all);
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
