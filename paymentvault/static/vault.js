// What pages gain by script. Without it they work all the same.
"use strict";

// A form is sent once: the second press does nothing while the first is under way.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  // After the press has been read: a disabled button's name would not be sent.
  setTimeout(() => form.querySelectorAll("button").forEach((b) => { b.disabled = true; }));
});
// The back button shows the page as it was left, with its buttons disabled.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// Copy buttons show only where they can work.
const showCopyButtons = (part) => {
  if (navigator.clipboard) part.querySelectorAll("[data-copy][hidden]").forEach((b) => { b.hidden = false; });
};
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const words = button.innerHTML;
  button.textContent = "Copied";
  setTimeout(() => { button.innerHTML = words; }, 1500);
});

// "Select all" of a list with boxes.
document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-selects]");
  if (!all) return;
  document.querySelectorAll(`input[name="${all.dataset.selects}"]`).forEach((box) => { box.checked = all.checked; });
});

// Keys, as an extra: / searches, j and k walk the rows, ? opens the help.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const search = document.querySelector('input[type="search"]');
  if (event.key === "/" && search) { event.preventDefault(); search.focus(); }
  if (event.key === "?") location.href = "/help/";
  if (event.key === "j" || event.key === "k") walkRows(event.key === "j" ? 1 : -1);
});
const walkRows = (step) => {
  const links = [...document.querySelectorAll("tbody tr > * > a:first-of-type, tbody th > a")];
  const next = links[links.indexOf(document.activeElement) + step] || links[step > 0 ? 0 : links.length - 1];
  if (next) next.focus();
};

document.addEventListener("DOMContentLoaded", () => showCopyButtons(document));
document.addEventListener("htmx:afterSwap", (event) => showCopyButtons(event.target));

// A list of choices that hangs over the page closes by a click beside it, or by Escape.
const closePicks = (except) => {
  document.querySelectorAll("details.picks[open]").forEach((picks) => {
    if (!picks.contains(except)) picks.open = false;
  });
};
document.addEventListener("click", (event) => closePicks(event.target));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = event.target.closest("details.picks[open]");
  closePicks(null);
  if (open) open.querySelector("summary").focus();
});
