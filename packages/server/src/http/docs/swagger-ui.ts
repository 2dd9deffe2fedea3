// Swagger UI: the page for trying out the API. Only the files that the page needs are served.
import { type RequestHandler, Router } from 'express';
import swaggerUi from 'swagger-ui-express';
import { headTags, iconUrl } from '../head.ts';
import { SWAGGER_UI_PATH } from '../paths.ts';
import { serveText } from './text.ts';

const assets = ['swagger-ui.css', 'swagger-ui-bundle.js', 'swagger-ui-standalone-preset.js', 'swagger-ui-init.js'];

/** Makes headings in the prose smaller than the title, and hides the field for the cookie, which only the server can set. */
const customCss = `
  .swagger-ui .info { margin: 30px 0 }
  .swagger-ui .info .description h1 { font-size: 20px; margin: 24px 0 8px }
  .swagger-ui .info .description td { padding: 6px 0 }
  .swagger-ui .auth-container:has(#api_key_value) :is(.wrapper:has(#api_key_value), .auth-btn-wrapper .authorize) {
    display: none;
  }
`;

const setup = {
  // Relative to the page.
  swaggerUrl: 'openapi.json',
  customSiteTitle: 'BackChannel API',
  customfavIcon: iconUrl,
  customCss,
  swaggerOptions: {
    // Hides the top bar, which could open another document.
    layout: 'BaseLayout',
    tryItOutEnabled: true,
    displayRequestDuration: true,
    // Forgets a token when the page is closed.
    persistAuthorization: false,
    // By default, the document is sent to a third-party host for validation.
    validatorUrl: null,
  },
};

export function createSwaggerUi(): [path: string, RequestHandler][] {
  const files = Router().use(SWAGGER_UI_PATH, ...swaggerUi.serveFiles(undefined, setup));
  const html = swaggerUi
    .generateHTML(undefined, setup)
    .replace('<meta charset="UTF-8">', headTags)
    // The page is at /docs, not below it.
    .replaceAll('="./', '="./docs/');
  return [
    [SWAGGER_UI_PATH, serveText('html', html)],
    ...assets.map((name): [string, RequestHandler] => [`/docs/${name}`, files]),
  ];
}
