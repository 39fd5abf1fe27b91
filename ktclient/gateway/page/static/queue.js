// The lists. Each job or group keeps its element, and an element changes only where its job did.

import { announce, arrange, byId, el, setAttr, setText } from "./dom.js";
import * as words from "./words.js";
import { call } from "./api.js";
import { exportMenu } from "./export.js";

export class QueueView {
  constructor() {
    this.jobs = new Map(); // id -> { record, cameAt }
    this.rows = new Map();
    this.order = { running: [], queued: [], recent: [] };
    this.counts = {};
    this.older = [];
    this.found = null; // ids of a search
    this.picked = new Set();
    this.selected = null;
    this.hasOlder = false;
    this.sections = new Map(
      [...document.querySelectorAll("[data-list]")].map((one) => [one.dataset.list, one]),
    );
    byId("older").addEventListener("click", () => this.more());
    this.buildSearch();
    this.buildPicking();
    setInterval(() => this.tick(), 1000);
  }

  get isEmpty() {
    return Object.values(this.order).every((ids) => !ids.length);
  }

  take(data) {
    words.setNow(data.now);
    for (const [id, record] of Object.entries(data.jobs)) this.jobs.set(id, { record, cameAt: Date.now() });
    this.order = data.order;
    this.counts = data.counts;
    this.hasOlder = data.has_older;
    const kept = new Set([...Object.values(data.order).flat(), ...this.older, ...(this.found || [])]);
    for (const id of [...this.jobs.keys()]) if (!kept.has(id)) this.jobs.delete(id);
    for (const id of this.picked) if (!kept.has(id)) this.picked.delete(id);
    this.draw();
  }

  draw() {
    byId("tools").hidden = false;
    byId("lists").hidden = this.isEmpty && !this.found;
    for (const [name, section] of this.sections) {
      const isSearch = name === "found";
      const first = isSearch ? this.found || [] : this.order[name] || [];
      const ids = name === "recent" ? [...first, ...this.older.filter((id) => !this.isListed(id))] : first;
      section.hidden = isSearch ? !this.found : Boolean(this.found) || !ids.length;
      if (!isSearch) {
        const all = Math.max(this.counts[name] || 0, ids.length);
        setText(section.querySelector(".count"), all ? words.number(all) : "");
      }
      if (!section.hidden) arrange(section.querySelector("ul"), ids.map((id) => this.row(id).node));
      if (name === "recent") byId("older").hidden = this.older.length ? !this.mayHaveMore : !this.hasOlder;
    }
    for (const [id, row] of this.rows) if (!this.jobs.has(id)) { row.node.remove(); this.rows.delete(id); }
    this.drawPicked();
  }

  isListed(id) {
    return Object.values(this.order).some((ids) => ids.includes(id));
  }

  row(id) {
    let row = this.rows.get(id);
    if (!row) this.rows.set(id, (row = new Row(id, (is) => this.pick(id, is))));
    const { record, cameAt } = this.jobs.get(id);
    row.show(record, cameAt, id === this.selected, this.isPicking, this.picked.has(id));
    return row;
  }

  select(id) {
    this.selected = id;
    for (const [one, row] of this.rows) setAttr(row.link, "aria-current", one === id ? "true" : null);
  }

  tick() {
    if (document.hidden) return;
    for (const id of this.rows.keys()) if (this.jobs.has(id)) this.row(id);
  }

  async more() {
    const button = byId("older");
    button.disabled = true;
    try {
      const skip = this.order.recent.length + this.older.length;
      const { jobs } = await call(`/page/older?skip=${skip}`);
      for (const record of jobs) {
        this.jobs.set(record.id, { record, cameAt: Date.now() });
        if (!this.older.includes(record.id)) this.older.push(record.id);
      }
      this.mayHaveMore = jobs.length > 0;
      this.draw();
    } finally {
      button.disabled = false;
    }
  }

  buildSearch() {
    const form = byId("search");
    const input = byId("words");
    form.addEventListener("submit", (event) => { event.preventDefault(); this.search(); });
    input.addEventListener("input", () => { if (!input.value && this.found) this.clear(); });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !(this.found || input.value)) return;
      event.preventDefault();
      event.stopPropagation();
      input.value = "";
      this.clear();
      input.focus();
    });
    byId("in-documents").addEventListener("change", () => { if (this.found) this.search(); });
    byId("clear").addEventListener("click", () => { input.value = ""; this.clear(); input.focus(); });
  }

  clear() {
    this.searching = null;
    this.found = null;
    this.draw();
  }

  async search() {
    const text = byId("words").value.trim();
    if (!text) return this.clear();
    const searching = (this.searching = {});
    const said = byId("found-count");
    this.found = this.found || [];
    setText(said, "Searching …");
    this.draw();
    try {
      const more = byId("in-documents").checked ? "&documents=1" : "";
      const result = await call(`/page/search?q=${encodeURIComponent(text)}${more}`);
      if (searching !== this.searching) return;
      for (const record of result.jobs) this.jobs.set(record.id, { record, cameAt: Date.now() });
      this.found = result.jobs.map((one) => one.id);
      const unread = result.unread ? `; ${words.count(result.unread, "older document")} not searched` : "";
      const shown = result.total > result.jobs.length ? `, the newest ${result.jobs.length} are shown` : "";
      setText(said, `${words.count(result.total, "job")} found${shown}${unread}`);
    } catch (error) {
      if (searching !== this.searching) return;
      this.found = [];
      setText(said, error.message);
    }
    this.draw();
  }

  get isPicking() {
    return !byId("picked").hidden;
  }

  buildPicking() {
    const names = { cancel: "Cancel", retry: "Retry", hold: "Hold", release: "Release", delete: "Delete" };
    this.pickedCount = el("strong", { role: "status" });
    this.pickedError = el("p", { class: "error", role: "alert", hidden: true });
    this.pickedExport = exportMenu(() => `ids=${[...this.picked].join(",")}`);
    const buttons = Object.entries(names).map(([what, text]) => el("button", { type: "button", onclick: (event) => this.act(what, text, event.target) }, text));
    byId("picked").append(
      el("div", { class: "actions" }, this.pickedCount, this.pickedExport, ...buttons, el("button", { type: "button", class: "quiet", onclick: () => this.pickAll() }, "All shown")),
      this.pickedError,
    );
    byId("pick").addEventListener("click", () => {
      byId("picked").hidden = this.isPicking;
      setAttr(byId("pick"), "aria-pressed", String(this.isPicking));
      this.picked.clear();
      this.failPicked("");
      this.draw();
    });
  }

  /** A group is not picked: it has its own actions. */
  pick(id, is) {
    if (is) this.picked.add(id);
    else this.picked.delete(id);
    this.drawPicked();
  }

  pickAll() {
    const shown = this.found || [...Object.values(this.order).flat(), ...this.older];
    for (const id of shown) if (this.jobs.has(id) && !this.jobs.get(id).record.is_group) this.picked.add(id);
    this.draw();
  }

  drawPicked() {
    setText(this.pickedCount, `${words.count(this.picked.size, "job")} selected`);
    for (const button of byId("picked").querySelectorAll("button:not(.quiet)")) button.disabled = !this.picked.size;
    this.pickedExport.hidden = !this.picked.size || ![...this.picked].every((id) => this.jobs.get(id).record.finished_at);
  }

  async act(what, text, button) {
    if ((what === "delete" || what === "cancel") && button.dataset.sure !== "yes") {
      button.dataset.sure = "yes";
      setText(button, `${text} ${words.count(this.picked.size, "job")}?`);
      setTimeout(() => { delete button.dataset.sure; setText(button, text); }, 4000);
      return;
    }
    this.failPicked("");
    try {
      const done = await call(`/page/several/${what}`, { ids: [...this.picked] });
      const refused = Object.values(done.refused);
      announce(`${words.count(done.changed, "job")} changed`);
      if (refused.length) this.failPicked(refused.slice(0, 3).join("\n"));
    } catch (error) {
      this.failPicked(error.message);
    }
  }

  failPicked(message) {
    this.pickedError.hidden = !message;
    setText(this.pickedError, message);
  }
}

/** A line about a job, or about a group. `onPick`: where lines can be selected. */
export class Row {
  constructor(id, onPick = null) {
    const kind = id.includes("-") ? "group" : "job";
    this.state = el("span", { class: "state" });
    this.title = el("span", { class: "title" });
    this.age = el("span", { class: "age" });
    this.asked = el("span", { class: "asked" });
    this.where = el("span", { class: "where", hidden: true });
    this.facts = el("span", { class: "facts" });
    this.bar = el("progress", { max: 1, "aria-hidden": "true" });
    this.link = el(
      "a", { class: "row", href: `#/${kind}/${encodeURIComponent(id)}` },
      el("span", { class: "head" }, this.title, this.age, this.state), this.asked, this.where, this.bar, this.facts,
    );
    this.box = onPick && kind === "job" ? el("input", { type: "checkbox", class: "pick", hidden: true, onchange: () => onPick(this.box.checked) }) : null;
    this.node = el("li", {}, this.box, this.link);
  }

  show(job, cameAt, isSelected, isPicking = false, isPicked = false) {
    const isRunning = job.state === "RUNNING";
    setText(this.title, job.title);
    setText(this.state, words.state(job));
    setAttr(this.state, "data-state", job.state);
    setText(this.age, words.age(job.created_at));
    setAttr(this.age, "title", `submitted ${words.clock(job.created_at)}`);
    setText(this.asked, words.asked(job));
    setAttr(this.link, "aria-current", isSelected ? "true" : null);
    this.bar.hidden = !(isRunning || (job.is_group && job.state === "QUEUED" && job.done));
    if (!this.bar.hidden) setBar(this.bar, job);
    setText(this.facts, facts(job, cameAt));
    this.where.hidden = !job.found;
    if (job.found) setText(this.where, `${job.found.where === "content" ? "in the document" : job.found.where}: ${job.found.text}`);
    if (this.box) {
      this.box.hidden = !isPicking;
      this.box.checked = isPicked;
      setAttr(this.box, "aria-label", `Select ${job.title}`);
    }
  }
}

export function setBar(bar, job) {
  const share = words.share(job);
  if (share === null || job.phase === "decode") setAttr(bar, "value", null);
  else setAttr(bar, "value", share.toFixed(4));
  setAttr(bar, "data-phase", job.phase || "");
}

/** Why a job is where it is, and for how long. */
function facts(job, cameAt) {
  if (job.is_group) {
    const wait = job.state === "QUEUED" ? [job.wait] : [];
    return [job.tally.words, ...wait].filter(Boolean).join(" · ");
  }
  if (job.state === "RUNNING") {
    return [words.phase(job), ...words.progress(job, cameAt), `${words.duration(words.since(job.started_at))} elapsed`].join(" · ");
  }
  if (job.state === "QUEUED") {
    const place = job.place > 1 ? [`place ${words.number(job.place)}`] : [];
    const at = job.not_before && Date.parse(job.not_before) > Date.now() ? [`not before ${words.clock(job.not_before)}`] : [];
    return [job.wait || words.blocked(job), ...at, ...place].filter(Boolean).join(" · ");
  }
  const took = job.started_at ? [words.duration(words.since(job.started_at, job.finished_at))] : [];
  const cause = job.state === "FAILED" || job.state === "LOST" ? [(job.cause || "").replaceAll("_", " ")] : [];
  return [job.imported ? "imported" : null, ...cause, ...took, `ended ${words.ago(job.finished_at)}`].filter(Boolean).join(" · ");
}
