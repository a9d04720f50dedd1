// The API reference: Swagger UI over our own OpenAPI document. Nothing comes from elsewhere.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  requestSnippetsEnabled: true,
  tryItOutEnabled: false,
  validatorUrl: null, // it would be asked over the network
});
