// What is paused, and the buttons that pause and resume: for those who see all jobs.

import { announce, byId, el, setText } from "./dom.js";
import { call } from "./api.js";

export class Pauses {
  constructor() {
    this.isAllowed = false;
    this.paused = [];
    this.error = "";
    byId("pause").addEventListener("click", () => this.change("pause", null));
  }

  allow(is) {
    this.isAllowed = is;
    this.draw();
  }

  /** Whether something changed. */
  take(paused) {
    if (JSON.stringify(paused) === JSON.stringify(this.paused)) return false;
    this.paused = paused;
    this.draw();
    return true;
  }

  draw() {
    const all = this.paused.some((one) => one.server === null);
    byId("pause").hidden = !this.isAllowed || all;
    byId("paused").hidden = !this.paused.length && !this.error;
    byId("paused").replaceChildren(
      ...this.paused.map((one) => el("p", {},
        el("span", {}, `${one.why}; what runs continues`),
        this.isAllowed ? el("button", { type: "button", onclick: () => this.change("resume", one.server) }, "Resume") : null)),
      ...(this.error ? [el("p", { role: "alert" }, this.error)] : []),
    );
    setText(byId("pause"), "Pause the queue");
  }

  async change(what, server) {
    this.error = "";
    try {
      await call(`/page/${what}`, server === null ? {} : { server });
      announce(what === "pause" ? "The queue is paused" : "Resumed");
    } catch (error) {
      this.error = error.message;
    }
    this.draw();
  }
}
