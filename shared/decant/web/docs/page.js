// Shows the OpenAPI document beside this page. Links are relative, so that the page works below any stage path. An API
// that rejects the request of the document gets a token or a key, from the fragment of the URL or from a form.

const documentUrl = new URL("openapi.json", window.location.href.split("#")[0]);
const ACCESS = "decant-docs-access";

function access() {
  return JSON.parse(sessionStorage.getItem(ACCESS) ?? "{}");
}

function headers() {
  const { token, key } = access();
  return { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...(key ? { "x-api-key": key } : {}) };
}

function keep(token, key) {
  sessionStorage.setItem(ACCESS, JSON.stringify({ token: token?.trim(), key: key?.trim() }));
}

function takeAccess() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has("token") && !given.has("key")) return;
  keep(given.get("token"), given.get("key"));
  history.replaceState(null, "", location.pathname);
}

async function load(problem) {
  const response = await fetch(documentUrl, { headers: headers() });
  if (response.status === 401 || response.status === 403) ask(problem);
  else show();
}

function ask(problem) {
  const form = document.getElementById("access");
  form.hidden = false;
  form.querySelector("[role=alert]").textContent = problem ?? "";
  form.onsubmit = (event) => {
    event.preventDefault();
    form.hidden = true;
    keep(form.token.value, form.key.value);
    load("The API rejects this token or key.");
  };
  form.token.focus();
}

function show() {
  window.ui = SwaggerUIBundle({
    url: documentUrl.href,
    dom_id: "#page",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    filter: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
    validatorUrl: null, // it would send the document to another host
    requestInterceptor: (request) => {
      const isOwn = new URL(request.url, documentUrl).origin === documentUrl.origin;
      return isOwn ? Object.assign(request, { headers: { ...headers(), ...request.headers } }) : request;
    },
    onComplete: () => {
      document.title = window.ui.specSelectors.info().get("title");
      if (access().token) window.ui.preauthorizeApiKey("bearerAuth", access().token);
    },
  });
}

takeAccess();
load();
