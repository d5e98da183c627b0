// Passkeys need a script and a browser that knows them: their buttons show only where they can work.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  if (!window.PublicKeyCredential) return;
  document.querySelectorAll("[data-webauthn]").forEach((form) => { form.hidden = false; });
});
// What the browser refused, or the person broke off, is said in words.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  document.querySelectorAll("[data-webauthn-trouble]").forEach((words) => { words.hidden = false; });
});
