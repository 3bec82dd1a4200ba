// Follows the request until nothing more will change, more slowly the longer it takes.

import { local } from "./times.js";

const progress = document.getElementById("progress");
const headline = document.getElementById("headline");
const details = document.getElementById("details");
let shown = "";

function line(...content) {
  const item = document.createElement("li");
  item.append(...content);
  return item;
}

function show(state) {
  const text = JSON.stringify(state);
  if (text === shown) return;
  const first = shown === "" && headline.textContent === state.headline;
  shown = text;
  if (first) return;
  progress.className = `progress ${state.tone}`;
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
  if (response && !response.ok) return;
  if (response) {
    const state = await response.json();
    show(state);
    if (state.final) return;
  }
  follow(Math.min(wait * 1.3, 30000));
}

follow(1000);
