// Follows the request until nothing more will change, more slowly the longer it takes.

import { local } from "./times.js";

const progress = document.getElementById("progress");
const headline = document.getElementById("headline");
const details = document.getElementById("details");

function line(...content) {
  const item = document.createElement("li");
  item.append(...content);
  return item;
}

function isShown(state) {
  const lines = [...details.children].map((item) => item.textContent.trim());
  return headline.textContent === state.headline
    && lines.length === state.details.length + (state.until ? 1 : 0)
    && state.details.every((words, index) => words === lines[index]);
}

// What has not changed is left alone, so that it is not read out again.
function show(state) {
  if (isShown(state)) return;
  progress.className = `progress ${state.tone}`;
  document.getElementById("end-access")?.toggleAttribute("hidden", state.tone !== "good");
  headline.textContent = state.headline;
  details.replaceChildren(...state.details.map((words) => line(words)));
  if (state.until) {
    const time = document.createElement("time");
    time.dateTime = new Date(state.until * 1000).toISOString();
    local(time);
    details.append(line("Until ", time));
  }
}

async function follow(wait) {
  await new Promise((resolve) => { setTimeout(resolve, wait); });
  const response = await fetch("/done/status", { redirect: "error" }).catch(() => null);
  if (response?.status === 404) return;
  if (response?.ok) {
    const state = await response.json();
    show(state);
    if (state.final) return;
  }
  follow(Math.min(wait * 1.3, 30000));
}

follow(1000);
