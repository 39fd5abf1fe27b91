// The three lists. Each job keeps its element, and an element changes only where its job did.

import { arrange, byId, el, setAttr, setText } from "./dom.js";
import * as words from "./words.js";
import { call } from "./api.js";

export class QueueView {
  constructor() {
    this.jobs = new Map(); // id -> { record, cameAt }
    this.rows = new Map();
    this.order = { running: [], queued: [], recent: [] };
    this.counts = {};
    this.older = [];
    this.selected = null;
    this.sections = new Map(
      [...document.querySelectorAll("[data-list]")].map((one) => [one.dataset.list, one]),
    );
    byId("older").addEventListener("click", () => this.more());
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
    const kept = new Set([...Object.values(data.order).flat(), ...this.older]);
    for (const id of [...this.jobs.keys()]) if (!kept.has(id)) this.jobs.delete(id);
    this.draw();
  }

  draw() {
    byId("lists").hidden = this.isEmpty;
    for (const [name, section] of this.sections) {
      const first = this.order[name] || [];
      const ids = name === "recent" ? [...first, ...this.older.filter((id) => !this.isListed(id))] : first;
      const all = Math.max(this.counts[name] || 0, ids.length);
      section.hidden = !ids.length;
      setText(section.querySelector(".count"), all ? words.number(all) : "");
      arrange(section.querySelector("ul"), ids.map((id) => this.row(id).node));
      if (name === "recent") byId("older").hidden = ids.length >= all;
    }
    for (const [id, row] of this.rows) if (!this.jobs.has(id)) { row.node.remove(); this.rows.delete(id); }
  }

  isListed(id) {
    return Object.values(this.order).some((ids) => ids.includes(id));
  }

  row(id) {
    let row = this.rows.get(id);
    if (!row) this.rows.set(id, (row = new Row(id)));
    const { record, cameAt } = this.jobs.get(id);
    row.show(record, cameAt, id === this.selected);
    return row;
  }

  select(id) {
    this.selected = id;
    for (const [one, row] of this.rows) setAttr(row.link, "aria-current", one === id ? "true" : null);
  }

  tick() {
    if (document.hidden) return;
    for (const [id, row] of this.rows) {
      const known = this.jobs.get(id);
      if (known) row.show(known.record, known.cameAt, id === this.selected);
    }
  }

  async more() {
    const button = byId("older");
    button.disabled = true;
    try {
      const skip = this.order.recent.length + this.older.length;
      const { jobs } = await call(`/page/older?skip=${skip}`);
      for (const record of jobs) {
        this.jobs.set(record.id, { record, cameAt: Date.now() });
        this.older.push(record.id);
      }
      this.draw();
      if (!jobs.length) button.hidden = true;
    } finally {
      button.disabled = false;
    }
  }
}

class Row {
  constructor(id) {
    this.state = el("span", { class: "state" });
    this.title = el("span", { class: "title" });
    this.asked = el("span", { class: "asked" });
    this.facts = el("span", { class: "facts" });
    this.bar = el("progress", { max: 1, "aria-hidden": "true" });
    this.link = el(
      "a", { class: "row", href: `#/job/${encodeURIComponent(id)}` },
      el("span", { class: "head" }, this.title, this.state), this.asked, this.bar, this.facts,
    );
    this.node = el("li", {}, this.link);
  }

  show(job, cameAt, isSelected) {
    const isRunning = job.state === "RUNNING";
    setText(this.title, job.title);
    setText(this.state, words.state(job));
    setAttr(this.state, "data-state", job.state);
    setText(this.asked, words.asked(job));
    setAttr(this.link, "aria-current", isSelected ? "true" : null);
    this.bar.hidden = !isRunning;
    if (isRunning) setBar(this.bar, job);
    setText(this.facts, facts(job, cameAt));
  }
}

export function setBar(bar, job) {
  const share = words.share(job);
  if (share === null || job.phase === "decode") setAttr(bar, "value", null);
  else setAttr(bar, "value", share.toFixed(4));
  setAttr(bar, "data-phase", job.phase || "");
}

function facts(job, cameAt) {
  if (job.state === "RUNNING") {
    return [words.phase(job), ...words.progress(job, cameAt), `${words.duration(words.since(job.started_at))} elapsed`].join(" · ");
  }
  if (job.state === "QUEUED") {
    const place = job.place ? [`place ${words.number(job.place)}`] : [];
    return [job.wait, ...(job.place > 1 ? place : []), `since ${words.duration(words.since(job.created_at))}`].filter(Boolean).join(" · ");
  }
  const took = job.started_at ? [words.duration(words.since(job.started_at, job.finished_at))] : [];
  const cause = job.state === "FAILED" || job.state === "LOST" ? [(job.cause || "").replaceAll("_", " ")] : [];
  return [...cause, ...took, words.ago(job.finished_at)].filter(Boolean).join(" · ");
}
