// What pages say when they were opened at another address than PUBLIC_URL. A sign-in there would be valid for another host, or
// be refused as cross-origin, and the password might travel over http. So there is no form, except at loopback addresses: what
// is sent to them does not leave the machine, and a proxy on it may hide the address that the browser shows.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackOrigin } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import { createPeerTrust } from '../client-address.ts';
import { type Html, html } from './html.ts';
import type { Page } from './layout.ts';
import { keepsFragment } from './script.ts';

export interface Addresses {
  /** A banner for a page, or null if its address is PUBLIC_URL. `next` is the return address of the sign-in. */
  banner(req: IncomingMessage, next: URL | null): Html | null;
  /** The page to show instead of one that asks for a password. Null where passwords may be entered. */
  wrongAddress(req: IncomingMessage, next: URL | null): Page | null;
}

export function createAddresses(config: Pick<Config, 'publicUrl' | 'trustedProxies'>): Addresses {
  const { publicUrl } = config;
  const home = new URL(publicUrl);
  const isFromTrustedProxy = createPeerTrust(config);

  /** The origin in the address bar, as far as the server can know it. Without a trusted proxy, the scheme is a guess. */
  const openedAt = (req: IncomingMessage): string | null => {
    const forwarded = (name: string) => {
      const value = isFromTrustedProxy(req) ? req.headers[`x-forwarded-${name}`] : undefined;
      return value === undefined ? undefined : String(value).split(',')[0]?.trim();
    };
    const host = forwarded('host') ?? req.headers.host;
    // The Origin of a form from this server is exact.
    const page = URL.parse(req.headers.origin ?? '');
    if (page?.host === host) return page?.origin ?? null;
    const isHome = URL.parse(`${home.protocol}//${host}`)?.host === home.host;
    // Browsers send Sec-Fetch-* only over https and to loopback addresses (Fetch Metadata, 2).
    const isSecure = isHome || req.headers['sec-fetch-mode'] !== undefined;
    const scheme = forwarded('proto') ?? (isSecure ? home.protocol.slice(0, -1) : 'http');
    if (!host || !/^https?$/.test(scheme)) return null;
    const url = URL.parse(`${scheme}://${host}`);
    return url && url.host !== '' ? url.origin : null;
  };

  const signInAt = (next: URL | null) =>
    `${publicUrl}/login${next ? `?${new URLSearchParams({ next: next.href })}` : ''}`;

  const hostHint = html`<p>If your address bar already shows ${publicUrl}, configure the proxy to pass on the <code>Host</code>
header and to send <code>X-Forwarded-Proto</code>.</p>`;

  return {
    banner: (req, next) => {
      const opened = openedAt(req);
      if (opened === null || opened === publicUrl) return null;
      return html`<div class="note above">
<p><strong>This address is not PUBLIC_URL.</strong> You are at <code>${opened}</code>, and a sign-in is only valid at the
address where you sign in. Go to <a ${keepsFragment} href="${signInAt(next)}">${publicUrl}</a> instead.
${isPlainlyOwn(opened) ? html`If this is the address you want to use, ${settingFor(opened)}` : null}</p>
${isLoopbackOrigin(publicUrl) ? null : hostHint}
</div>`;
    },
    wrongAddress: (req, next) => {
      const opened = openedAt(req);
      if (opened === null || opened === publicUrl || isLoopbackOrigin(opened)) return null;
      const isReachable = !isLoopbackOrigin(publicUrl);
      const setting = isPlainlyOwn(opened)
        ? settingFor(opened)
        : html`set PUBLIC_URL to the address that people should use, and restart the server.`;
      return {
        title: 'Wrong address',
        hasScript: true,
        main: html`<h1>Wrong address</h1>
<p>You opened <code>${opened}</code>. ${
          isReachable
            ? html`You can only sign in at <code>${publicUrl}</code>.`
            : html`PUBLIC_URL is <code>${publicUrl}</code>, which only the machine itself can open. To sign in here, ${setting}`
        }</p>
${
  isReachable
    ? html`<div class="stack"><a ${keepsFragment} class="button main" href="${signInAt(next)}">Go to ${home.host}</a></div>
${hostHint}`
    : null
}`,
      };
    },
  };
}

/**
 * Whether the address is an IP address or a name without a domain. Anyone can point a domain at this server, and a link to it
 * must not become a setting to copy.
 */
function isPlainlyOwn(origin: string): boolean {
  const hostname = new URL(origin).hostname.replace(/^\[|\]$/g, '');
  return isIP(hostname) !== 0 || !hostname.includes('.');
}

const settingFor = (origin: string): Html => html`set <code>PUBLIC_URL=${origin}</code> and restart the server.`;
