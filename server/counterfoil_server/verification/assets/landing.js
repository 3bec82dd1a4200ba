// Signs in with a passkey that the person chooses.

import { post } from "./exchange.js";
import { run } from "./message.js";
import { sign } from "./passkey.js";

const button = document.getElementById("sign-in");
const here = window.location.pathname;

button.addEventListener("click", () => run([button], async () => {
  const options = await post(`${here}/challenge`);
  return post(`${here}/sign-in`, await sign(options));
}));
