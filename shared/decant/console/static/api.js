// Requests to the JSON routes. The token comes in the fragment of the URL, which browsers do not send, and is kept for
// this tab alone.

const TOKEN = "decant-console-token";
const API_KEY = "decant-console-key";
const root = new URL("console/api/", document.baseURI.split(/[?#]/)[0]);
const cached = new Map();

/** Take a token, and the key of an API that requires one, from the fragment, and remove both from the address. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.get("token")) return;
  setAccess(given.get("token"), given.get("key") ?? "");
  history.replaceState(null, "", location.pathname + location.search);
}

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

export function setAccess(token, key) {
  sessionStorage.setItem(TOKEN, token.trim());
  sessionStorage.setItem(API_KEY, key.trim());
}

export const dropToken = () => sessionStorage.removeItem(TOKEN);

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function send(path, options = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(TOKEN)}`, ...options.headers };
  const key = sessionStorage.getItem(API_KEY);
  if (key) headers["x-api-key"] = key;
  let response;
  try {
    response = await fetch(new URL(path, root), { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The API cannot be reached.");
  }
  if (response.ok || response.status === 304) return response;
  const problem = await response.json().catch(() => ({}));
  const fields = (problem.errors ?? []).map(({ field, detail }) => `${field}: ${detail}`).join("; ");
  throw new ApiError(response.status, fields || problem.detail || problem.message || `Status ${response.status}`);
}

/** Read a route; an unchanged response is the object of the request before. */
export async function get(path, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const url = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  const before = cached.get(url);
  const response = await send(url, { signal, headers: before ? { "If-None-Match": before.tag } : {} });
  if (response.status === 304) return before.value;
  const value = await response.json();
  const tag = response.headers.get("ETag");
  if (tag) {
    cached.delete(url);
    cached.set(url, { tag, value });
    if (cached.size > 50) cached.delete(cached.keys().next().value);
  }
  return value;
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await send(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}
