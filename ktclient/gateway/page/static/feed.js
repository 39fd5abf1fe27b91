// One EventSource for everything that changes. It says first all, then what changed; a page that was
// cut off gets the rest of the answer that it has open, because the browser repeats the last id.

import { call } from "./api.js";

const RETRY_MS = 1500;

export class Feed {
  /** `on`: what to call for each event, by name; and `state` with live, connecting or away. */
  constructor(on) {
    this.on = on;
    this.job = null;
    this.group = null;
    this.place = "";
    this.beat = 15;
    this.heard = Date.now();
    this.source = null;
    this.timer = null;
    setInterval(() => this.check(), 2000);
    addEventListener("online", () => this.open());
    addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  /** Connect, also with another job or group open than before. */
  open(job = this.job, group = this.group) {
    if (job !== this.job) this.place = "";
    this.job = job;
    this.group = group;
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    const query = new URLSearchParams();
    if (job) query.set("job", job);
    if (group) query.set("group", group);
    if (this.place) query.set("seen", this.place);
    this.heard = Date.now();
    const source = (this.source = new EventSource(`/events?${query}`));
    for (const name of ["hello", "queue", "servers", "job", "group", "text", "gone", "trouble", "beat"]) {
      source.addEventListener(name, (event) => this.take(source, name, event));
    }
    source.onerror = () => this.failed(source);
  }

  /** Whether nothing is to be expected of it, such as after a refused key. */
  get isClosed() {
    return !this.source || this.source.readyState === EventSource.CLOSED;
  }

  close() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    this.source = null;
  }

  take(source, name, event) {
    if (source !== this.source) return;
    this.heard = Date.now();
    const data = JSON.parse(event.data);
    if (event.lastEventId) this.place = event.lastEventId;
    if (name === "hello") {
      this.beat = data.beat;
      this.on.state("live");
    }
    if (this.on[name]) this.on[name](data);
  }

  failed(source) {
    if (source !== this.source) return;
    this.on.state("away");
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), RETRY_MS);
  }

  /** A browser gives up after an error status: find out which, then try again. */
  async again() {
    try {
      await call("/page/setup");
      this.open();
    } catch (error) {
      if (error.status !== 401) this.timer = setTimeout(() => this.again(), RETRY_MS);
    }
  }

  /** A connection may be dead without a sound. */
  check() {
    if (this.source && Date.now() - this.heard > this.beat * 3000) {
      this.on.state("away");
      this.open();
    }
  }
}
