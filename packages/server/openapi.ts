// Writes openapi.json, the document of a server with default settings: `pnpm --filter server openapi`.
import { writeFileSync } from 'node:fs';
import { createOpenApiDocument } from './src/http/openapi/document.ts';
import { appRouter } from './src/router.ts';
import { version } from './src/version.ts';

const document = createOpenApiDocument({
  router: appRouter,
  version,
  config: {
    publicUrl: 'http://localhost:8000',
    cookieName: 'backchannel_session',
    secureCookies: false,
    cookieDomain: null,
  },
});
writeFileSync(new URL('openapi.json', import.meta.url), `${JSON.stringify(document, null, 2)}\n`);
