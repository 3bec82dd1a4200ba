// The decision: what the person chose becomes a statement, which their passkey signs.

import { post } from "./exchange.js";
import { run, show } from "./message.js";
import { sign } from "./passkey.js";

const approve = document.getElementById("approve");
const decline = document.getElementById("decline");
const disown = document.getElementById("disown");
const code = document.getElementById("code");
const unread = document.getElementById("unread");

// Nobody approves what was not shown to its end.
if (approve) {
  const watching = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      watching.disconnect();
      approve.disabled = false;
      approve.removeAttribute("aria-describedby");
      unread.hidden = true;
    }
  });
  watching.observe(document.getElementById("end"));
}

function decide(choice) {
  return run([approve, decline, disown], async () => {
    const options = await post("/decide/statement", choice);
    return post("/decide/signature", await sign(options));
  });
}

approve?.addEventListener("click", () => {
  const digits = code ? code.value.replace(/[\s-]/g, "") : null;
  if (digits !== null && !/^[0-9]{6}$/.test(digits)) {
    code.setAttribute("aria-invalid", "true");
    show("The code has six digits.", "Type all of them as the chat shows them.");
    code.focus();
    return;
  }
  decide({ decision: "approve", code: digits });
});
code?.addEventListener("input", () => code.removeAttribute("aria-invalid"));
decline.addEventListener("click", () => decide({ decision: "decline" }));
disown?.addEventListener("click", () => decide({ decision: "decline", disown: true }));
