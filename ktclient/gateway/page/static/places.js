// The servers in full, as `ktjob servers` shows them; and pausing what they get.

import { el, setText } from "./dom.js";
import { call } from "./api.js";
import * as words from "./words.js";

const COLUMNS = ["Server", "State", "Model", "Window", "KV pool", "In use", "Requests", "Jobs", "Prefill", ""];

export class ServersView {
  /** `paused`: what is paused, as it is said by the feed. */
  constructor(isAdmin, paused) {
    this.isAdmin = isAdmin;
    this.paused = paused;
    this.title = el("h2", { tabindex: "-1" }, "Servers");
    this.body = el("tbody");
    this.reasons = el("div", { class: "reasons" });
    this.hint = el("p", { class: "hint", role: "status" }, "Asking the servers …");
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.again = el("button", { type: "button", onclick: () => this.load() }, "Ask again");
    this.node = el(
      "article", { class: "job places" },
      el("div", { class: "job-head" }, el("a", { class: "back", href: "#/" }, "All jobs"), this.title),
      el("div", { class: "actions" }, this.again), this.error, this.hint,
      el("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Servers" },
        el("table", {}, el("thead", {}, el("tr", {}, ...COLUMNS.map((name) => el("th", { scope: "col" }, name)))), this.body)),
      this.reasons,
    );
    this.load();
  }

  async load() {
    this.again.disabled = true;
    this.fail("");
    setText(this.hint, "Asking the servers …");
    try {
      const { servers } = await call("/page/servers");
      this.servers = servers;
      this.draw();
      this.reasons.replaceChildren(...servers.filter((one) => one.reason).map((one) => el("p", {}, el("strong", {}, `${one.name || one.url}: `), one.reason)));
      setText(this.hint, servers.length ? "In use is the share of the KV pool that all clients use; jobs are ktjob's own; prefill is the speed seen here last." : "No server is configured or found.");
    } catch (error) {
      this.fail(error.message);
      setText(this.hint, "");
    } finally {
      this.again.disabled = false;
    }
  }

  draw() {
    this.body.replaceChildren(...this.servers.map((one) => this.row(one)));
  }

  row(one) {
    const { own } = one;
    const state = { ready: "SUCCEEDED", busy: "RUNNING", refused: "FAILED", silent: "FAILED", away: "FAILED" }[one.state];
    const jobs = [own.running ? `${own.running} running` : null, own.waiting ? `${own.waiting} queued` : null, this.paused().some((pause) => pause.server === null || pause.server === one.url) ? "paused" : null];
    const requests = one.running === null ? "" : one.waiting ? `${one.running}, ${one.waiting} waiting` : String(one.running);
    const isAlone = this.paused().some((pause) => pause.server === one.url); // not by the whole queue's pause
    const pause = this.isAdmin ? el("button", { type: "button", onclick: () => this.pause(one, isAlone) }, isAlone ? "Resume" : "Pause") : null;
    const cells = [
      el("strong", {}, one.name || one.url.replace(/^https?:\/\//, ""), one.is_default ? " (default)" : ""),
      el("span", { class: "state", "data-state": state }, one.state),
      one.model || "", one.window ? words.compact(one.window) : "", one.pool ? words.compact(one.pool) : "",
      one.used !== null && one.pool ? `${Math.round((100 * one.used) / one.pool)} %` : "",
      requests, jobs.filter(Boolean).join(", "), one.prefill_speed ? `${words.compact(one.prefill_speed)} tokens/s` : "", pause,
    ];
    return el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
  }

  async pause(one, isPaused) {
    this.fail("");
    try {
      await call(`/page/${isPaused ? "resume" : "pause"}`, { server: one.url });
    } catch (error) {
      this.fail(error.message);
    }
  }

  fail(message) {
    this.error.hidden = !message;
    setText(this.error, message);
  }

  /** Draw again: a pause began or ended. */
  redraw() {
    if (this.servers) this.draw();
  }

  close() {}
}
