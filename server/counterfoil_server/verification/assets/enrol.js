// Makes a passkey, and signs its enrolment with it.

import { post } from "./exchange.js";
import { run } from "./message.js";
import { make, sign } from "./passkey.js";

const button = document.getElementById("begin");
const here = window.location.pathname;

function step(number) {
  for (const [index, item] of ["step-1", "step-2"].entries()) {
    const element = document.getElementById(item);
    if (index + 1 === number) element.setAttribute("aria-current", "step");
    else element.removeAttribute("aria-current");
  }
}

button.addEventListener("click", () => run([button], async () => {
  step(1);
  const enrolment = await post(`${here}/passkey`, await make(await post(`${here}/options`)));
  step(2);
  return post(`${here}/signature`, await sign(enrolment));
}));
