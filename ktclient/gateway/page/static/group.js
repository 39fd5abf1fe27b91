// One group: how far it is, its jobs, and what can be done with all of them together.

import { announce, arrange, el, setAttr, setText } from "./dom.js";
import { call } from "./api.js";
import { exportMenu } from "./export.js";
import { Row } from "./queue.js";
import * as words from "./words.js";

export class GroupView {
  constructor(id) {
    this.id = id;
    this.jobs = new Map(); // id -> { record, cameAt }
    this.rows = new Map();
    this.build();
    this.timer = setInterval(() => this.tick(), 1000);
  }

  build() {
    this.title = el("h2", { tabindex: "-1" }, "Loading…");
    this.state = el("span", { class: "state" });
    this.meta = el("p", { class: "meta" });
    this.bar = el("progress", { max: 1, "aria-label": "Progress" });
    this.tally = el("p", { class: "facts tally", role: "status" });
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    const button = (what, text) => el("button", { type: "button", hidden: true, onclick: () => this.act(what) }, text);
    this.buttons = {
      cancel: el("button", { type: "button", hidden: true, onclick: () => this.confirmCancel() }, "Cancel all"),
      retry: button("retry", "Retry without success"),
      hold: button("hold", "Hold"),
      release: button("release", "Release"),
    };
    this.answers = el("a", { class: "button", hidden: true, download: "", href: `/page/export?group=${encodeURIComponent(this.id)}&format=md` }, "Download all answers");
    this.exports = exportMenu(() => `group=${encodeURIComponent(this.id)}`);
    this.list = el("ul", { class: "members" });
    this.more = el("p", { class: "hint", hidden: true });
    this.node = el(
      "article", { class: "job group" },
      el("div", { class: "job-head" }, el("a", { class: "back", href: "#/" }, "All jobs"), el("div", { class: "names" }, this.title, this.state), this.meta),
      el("div", { class: "actions" }, ...Object.values(this.buttons), this.answers, this.exports),
      this.error, this.bar, this.tally, el("div", { class: "lists" }, this.list), this.more,
    );
  }

  show({ group, order, jobs }) {
    const before = this.group;
    this.group = group;
    for (const [id, record] of Object.entries(jobs)) this.jobs.set(id, { record, cameAt: Date.now() });
    setText(this.title, group.title);
    setText(this.state, words.state(group));
    setAttr(this.state, "data-state", group.state);
    setText(this.meta, [`group ${group.id}`, group.server, `submitted ${words.clock(group.created_at)}`, group.label ? `label ${group.label}` : null].filter(Boolean).join(" · "));
    setText(this.tally, group.tally.words);
    this.bar.hidden = Boolean(group.finished_at);
    setAttr(this.bar, "value", (group.done / Math.max(1, group.total)).toFixed(4));
    for (const [name, button] of Object.entries(this.buttons)) button.hidden = !group.can[name];
    this.answers.hidden = this.exports.hidden = !group.can.export;
    arrange(this.list, order.map((id) => this.row(id).node));
    this.more.hidden = !group.hidden;
    setText(this.more, group.hidden ? `… and ${words.count(group.hidden, "more job")}; all of them: ktjob list --group ${group.id}` : "");
    if (before && !before.finished_at && group.finished_at) announce(`The group has ended: ${group.tally.words}`);
  }

  row(id) {
    let row = this.rows.get(id);
    if (!row) this.rows.set(id, (row = new Row(id)));
    const { record, cameAt } = this.jobs.get(id);
    row.show(record, cameAt, false);
    return row;
  }

  tick() {
    if (!document.hidden) for (const [id, row] of this.rows) if (row.node.isConnected) row.show(this.jobs.get(id).record, this.jobs.get(id).cameAt, false);
  }

  gone(message) {
    this.group = null;
    setText(this.title, "There is no such group");
    setText(this.meta, message);
    for (const one of [this.state, this.bar, this.tally, this.list, this.more, this.answers, this.exports, ...Object.values(this.buttons)]) one.hidden = true;
  }

  async act(what) {
    this.fail("");
    try {
      const done = await call(`/page/several/${what}`, { group: this.id });
      const refused = Object.values(done.refused);
      announce(`${words.count(done.changed, "job")} changed`);
      if (refused.length) this.fail(refused.slice(0, 3).join("\n"));
    } catch (error) {
      this.fail(error.message);
    }
  }

  confirmCancel() {
    if (sure(this.buttons.cancel, "Cancel all", "Cancel all of them?")) this.act("cancel");
  }

  fail(message) {
    this.error.hidden = !message;
    setText(this.error, message);
  }

  close() {
    clearInterval(this.timer);
  }
}

/** Whether a button was pressed a second time, by which it is meant. */
export function sure(button, text, question) {
  if (button.dataset.sure === "yes") return true;
  button.dataset.sure = "yes";
  setText(button, question);
  setTimeout(() => { delete button.dataset.sure; setText(button, text); }, 4000);
  return false;
}
