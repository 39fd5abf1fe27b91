// The login: a key for a cookie that no script can read.

import { byId, setText } from "./dom.js";
import { call } from "./api.js";

/** Ask for a key until one is right; then `done`. */
export function setUpLogin(done) {
  const dialog = byId("login"), key = byId("key"), error = byId("login-error");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    try {
      await call("/login", { key: key.value.trim() });
      key.value = "";
      dialog.close();
      done();
    } catch (failed) {
      setText(error, failed.status === 401 ? "This key is not valid, or has expired." : failed.message);
      error.hidden = false;
      key.select();
    }
  });
  return () => {
    if (dialog.open) return;
    dialog.showModal();
    key.focus();
  };
}
