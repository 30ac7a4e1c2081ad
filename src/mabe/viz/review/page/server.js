// Asking the server. The secret comes behind the # of the address, stays in this tab
// (so that a reload works), and goes out as a header of every request.
const KEY = "mabe-token";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(KEY, given);
  history.replaceState(null, "", location.pathname);
}
export const token = sessionStorage.getItem(KEY) ?? "";

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, { ...options, headers: { "x-mabe-token": token, ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "the server does not answer; was it ended? Start `mabe view` again");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    const reason = answer.status === 401 ? "open the address that `mabe view` printed" : told.error;
    throw new ServerError(answer.status, reason ?? `error ${answer.status}`);
  }
  return answer;
}

export const listing = async () => (await ask("recordings")).json();
export const describe = async (index) => (await ask(`recordings/${index}`)).json();
export const found = async (index) => (await ask(`recordings/${index}/found`)).json();

export async function poses(index, start, stop) {
  const answer = await ask(`recordings/${index}/poses?start=${start}&stop=${stop}`);
  return new Int16Array(await answer.arrayBuffer());
}

export async function probabilities(index, lane, start, stop, columns, signal) {
  const query = `lane=${lane}&start=${start}&stop=${stop}&columns=${columns}`;
  const answer = await ask(`recordings/${index}/probabilities?${query}`, { signal });
  return {
    first: Number(answer.headers.get("x-first")),
    step: Number(answer.headers.get("x-step")),
    values: new Uint8Array(await answer.arrayBuffer()),
  };
}

export async function save(index, version, bouts) {
  const body = JSON.stringify({ version, bouts });
  return (await ask(`recordings/${index}/labels`, { method: "PUT", body })).json();
}

export const videoAddress = () => `/api/video?token=${encodeURIComponent(token)}`;
