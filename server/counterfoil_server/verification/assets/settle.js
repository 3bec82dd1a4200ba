// The finding: what the person says became of it is made a statement, which their passkey signs.

import { post } from "./exchange.js";
import { run } from "./message.js";
import { sign } from "./passkey.js";

const happened = document.getElementById("happened");
const notHappened = document.getElementById("not-happened");
const reference = document.getElementById("reference");
const unread = document.getElementById("unread");

// Nobody settles what was not shown to its end; neither finding is at hand before the other.
const watching = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) {
    watching.disconnect();
    [happened, notHappened].forEach((button) => {
      button.disabled = false;
      button.removeAttribute("aria-describedby");
    });
    unread.hidden = true;
  }
});
watching.observe(document.getElementById("end"));

function settle(found) {
  return run([happened, notHappened], async () => {
    const options = await post("/settle/statement", { found, reference: reference.value });
    return post("/settle/signature", await sign(options));
  });
}

happened.addEventListener("click", () => settle("executed"));
notHappened.addEventListener("click", () => settle("not_executed"));
