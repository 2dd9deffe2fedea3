// The security headers of every response (OWASP ASVS 3.4, and its REST and HTTP Headers cheat sheets). Pages that need a wider
// policy set it themselves.
import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';

/** Nothing may load or run. */
const STRICT_CSP = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** What no page here uses, and no injected one should. Passkeys are for pages of this server alone. */
const PERMISSIONS = [
  ...['accelerometer', 'autoplay', 'camera', 'display-capture', 'encrypted-media', 'fullscreen', 'geolocation'],
  ...['gyroscope', 'hid', 'identity-credentials-get', 'idle-detection', 'local-fonts', 'magnetometer', 'microphone'],
  ...[
    'midi',
    'otp-credentials',
    'payment',
    'picture-in-picture',
    'screen-wake-lock',
    'serial',
    'storage-access',
    'usb',
  ],
  ...['window-management', 'xr-spatial-tracking'],
]
  .map((feature) => `${feature}=()`)
  .concat('publickey-credentials-create=(self)', 'publickey-credentials-get=(self)')
  .join(', ');

export function setSecurityHeaders(res: ServerResponse): void {
  res.setHeader('Content-Security-Policy', STRICT_CSP);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  // Not no-referrer: with it, a form's POST sends `Origin: null`, which the cross-origin rule refuses.
  res.setHeader('Referrer-Policy', 'same-origin');
  res.setHeader('X-Frame-Options', 'DENY');
  // No window that another site opened, or that a page here opens, shares a browsing context group with a page here.
  res.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  // Other sites can't embed responses as images or scripts. It does not concern CORS, which decides for ALLOWED_ORIGINS.
  res.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
}

/** For pages: the header has no effect on other responses. */
export function setPermissions(res: ServerResponse): void {
  res.setHeader('Permissions-Policy', PERMISSIONS);
}

export const securityHeaders: RequestHandler = (_req, res, next) => {
  setSecurityHeaders(res);
  next();
};

/** API responses are for one caller at one moment, so they must not be cached. */
export const noStore: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store');
  next();
};
