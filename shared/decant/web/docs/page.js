// Shows the OpenAPI document beside this page. Links are relative, so that the page works below any stage path.
const documentUrl = new URL("openapi.json", window.location.href);

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
  onComplete: () => {
    document.title = window.ui.specSelectors.info().get("title");
  },
});
