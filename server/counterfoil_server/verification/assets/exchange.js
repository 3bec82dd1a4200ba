// Talks to the server: JSON, from this page only, with the page's own form token and the digest of what it shows.

export class Refusal extends Error {
  constructor({ happened, remedy, location }) {
    super(happened);
    this.remedy = remedy ?? "";
    this.location = location;
  }
}

export async function post(path, value = {}) {
  const { formToken, shown } = document.body.dataset;
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-form-token": formToken, "x-page-shown": shown },
      body: JSON.stringify(value),
      redirect: "error",
    });
  } catch {
    throw new Refusal({ happened: "The server cannot be reached.", remedy: "Check your connection and try again." });
  }
  const answer = await response.json().catch(() => ({
    happened: "The server did not answer as expected.", remedy: "Wait a moment and try again.",
  }));
  if (!response.ok) throw new Refusal(answer);
  return answer;
}
