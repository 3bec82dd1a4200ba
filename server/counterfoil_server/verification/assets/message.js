// Shows what happened and what to do; and keeps buttons quiet while something is under way.

import { Refusal } from "./exchange.js";

const place = document.getElementById("message");

export function show(happened, remedy = "") {
  const strong = document.createElement("strong");
  strong.textContent = happened;
  place.replaceChildren(strong, ` ${remedy}`);
  place.hidden = false;
}

export async function run(buttons, action) {
  const enabled = buttons.filter((button) => button && !button.disabled);
  enabled.forEach((button) => { button.disabled = true; });
  document.body.setAttribute("aria-busy", "true");
  place.hidden = true;
  try {
    const { location } = await action();
    window.location.assign(location);
  } catch (error) {
    if (error instanceof Refusal && error.location) {
      window.location.assign(error.location);
      return;
    }
    document.body.removeAttribute("aria-busy");
    enabled.forEach((button) => { button.disabled = false; });
    if (error instanceof Refusal) show(error.message, error.remedy);
    else show("Something went wrong in this page; nothing was signed.", "Reload it and try again.");
  }
}
