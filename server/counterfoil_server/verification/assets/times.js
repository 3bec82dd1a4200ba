// Shows times in the reader's own time zone; without it they stand in UTC.

const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function local(time) {
  const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" })
    .formatToParts(new Date(time.dateTime)).find((part) => part.type === "timeZoneName")?.value ?? "";
  time.textContent = `${format.format(new Date(time.dateTime))} ${zone}`.trim();
}

document.querySelectorAll("time").forEach(local);
