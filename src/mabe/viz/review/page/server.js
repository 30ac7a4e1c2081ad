// Requests to the server. The token comes after the # of the address, is kept in this tab
// (so that a reload works), and is sent as a header of every request.
const KEY = "mabe-token", PROGRAM = document.body.dataset.studio ? "mabe studio" : "mabe view";
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

export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(`/api/${path}`, { ...options, headers: { "x-mabe-token": token, ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, `no connection to the server: start \`${PROGRAM}\` again, and open the new address that it prints`);
  }
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({}));
    const reason = response.status === 401 ? `open the address that \`${PROGRAM}\` printed` : error;
    throw new ServerError(response.status, reason ?? `error ${response.status}`);
  }
  return response;
}

export const listing = async () => (await request("recordings")).json();
export const describe = async (index) => (await request(`recordings/${index}`)).json();
export const predictions = async (index) => (await request(`recordings/${index}/predictions`)).json();

export async function poses(index, start, stop) {
  const response = await request(`recordings/${index}/poses?start=${start}&stop=${stop}`);
  return new Int16Array(await response.arrayBuffer());
}

export async function probabilities(index, view, start, stop, columns, signal) {
  const query = `view=${view}&start=${start}&stop=${stop}&columns=${columns}`;
  const response = await request(`recordings/${index}/probabilities?${query}`, { signal });
  return {
    first: Number(response.headers.get("x-first")),
    step: Number(response.headers.get("x-step")),
    values: new Uint8Array(await response.arrayBuffer()),
  };
}

export async function save(index, version, bouts, watched) {
  const body = JSON.stringify({ version, bouts, watched });
  return (await request(`recordings/${index}/labels`, { method: "PUT", body })).json();
}

export const videoAddress = (index) => `/api/video?recording=${index}&token=${encodeURIComponent(token)}`;
