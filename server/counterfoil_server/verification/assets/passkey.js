// Asks the browser for passkeys, and says in words what can go wrong there.

import { Refusal } from "./exchange.js";

function check() {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON || !PublicKeyCredential.parseCreationOptionsFromJSON) {
    throw new Refusal({
      happened: "This browser cannot use passkeys as this page needs it.",
      remedy: "Open the link in a current version of Chrome, Edge, Firefox or Safari.",
    });
  }
}

function explained(error) {
  if (error.name === "InvalidStateError") {
    return new Refusal({ happened: "This device already has your passkey.", remedy: "You can use it; there is nothing to add." });
  }
  return new Refusal({ happened: "Nothing was signed.", remedy: "The passkey was not used, or it took too long. Try again when you are ready." });
}

export async function sign(options) {
  check();
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  try {
    return (await navigator.credentials.get({ publicKey })).toJSON();
  } catch (error) {
    throw explained(error);
  }
}

export async function make(options) {
  check();
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  try {
    return (await navigator.credentials.create({ publicKey })).toJSON();
  } catch (error) {
    throw explained(error);
  }
}
