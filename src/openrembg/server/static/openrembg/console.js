// The interactive console: Swagger UI over this server's own description, and nothing else.

SwaggerUIBundle({
  url: document.body.dataset.description,
  dom_id: "#console",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  // The default asks a server of others whether the description is valid.
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
