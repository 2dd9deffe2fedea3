// Explains why an application sends people back here although they are signed in, from the configuration and the request.
// It is only advice and never affects access.
import { isUnder } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import type { NoReturn } from '../return-address.ts';
import { type Html, html } from './html.ts';

/** An application that sends people here, and the possible reasons. */
export interface Sender {
  /** Null if the application is unknown. */
  host: string | null;
  /** The likeliest first. */
  reasons: Html[];
}

export interface SentBack {
  /** Null if nothing looks wrong. */
  find(visit: { next: string | null; reason: NoReturn | null; isLoop: boolean; hasPass: boolean }): Sender | null;
}

export function createSentBack(config: Pick<Config, 'publicUrl' | 'cookieDomain' | 'secureCookies'>): SentBack {
  const home = new URL(config.publicUrl);

  /**
   * Why the cookie cannot reach a host. Anyone may have written the link that the host comes from, so no setting is advised
   * with a value from it.
   */
  const obstacle = ({ protocol, host, hostname }: URL): Html | null => {
    const { cookieDomain } = config;
    if (hostname !== home.hostname && !(cookieDomain !== null && isUnder(hostname, cookieDomain))) {
      const domain = cookieDomain === null ? 'COOKIE_DOMAIN, which is not set' : `COOKIE_DOMAIN (${cookieDomain})`;
      return html`${host} is neither ${home.hostname} nor under ${domain}. A sign-in here is not valid there. If it is an
application of yours, run <code>./backchannel proxy-config</code> for it, which says what to set. If not, do not go there.`;
    }
    if (protocol === 'http:' && config.secureCookies) {
      return html`You opened ${host} over http, and the cookie is only sent over https. Use https there. If you did, configure
the proxy to send X-Forwarded-Proto, and add it to TRUSTED_PROXIES.`;
    }
    return null;
  };

  const reasonsFor = (target: URL, visit: { isLoop: boolean; hasPass: boolean }): Html[] => {
    const found = obstacle(target);
    if (found) return [found];
    if (!visit.isLoop) return [];
    if (target.hostname !== home.hostname && !visit.hasPass) {
      return [
        html`This browser does not store the cookie for ${config.cookieDomain}. Its settings may block it. Browsers also refuse
cookies for domains under which anyone can register a name, such as co.uk.`,
      ];
    }
    return [
      html`The proxy in front of ${target.host} may not pass the <code>Cookie</code> header on to
<code>/api/v1/auth/verify</code>.`,
      html`The proxy may ask a different server: one with another address or another data folder.`,
      html`The log of this server has a line with the reason for each refusal.`,
    ];
  };

  /** Why forward-auth could not give a return address. */
  const explanations: Record<NoReturn, Html> = {
    'proxy-not-trusted': html`The proxy is not trusted, so the address you came from is unknown. Add the proxy to TRUSTED_PROXIES.`,
    'address-not-told': html`The proxy does not report the address you came from. Configure it to send X-Forwarded-Proto, -Host and
-Uri, as <code>./backchannel proxy-config</code> prints it.`,
    'address-too-long': html`The address you came from is too long to return to. Open it again; you are signed in.`,
    'address-not-usable': html`The address you came from contains a space, characters that are not encoded or, before its query, a \\, so it
is not followed. Open it again; you are signed in.`,
    'host-not-allowed': html`Its host is neither ${home.hostname} nor under ${config.cookieDomain ?? 'COOKIE_DOMAIN, which is not set'}, or you
opened it over http while PUBLIC_URL uses https. A sign-in here is not valid there and cannot lead back to it.`,
  };

  return {
    find: ({ next, reason, ...visit }) => {
      if (reason !== null) return { host: null, reasons: [explanations[reason]] };
      // The host of a refused address is still shown, as text only, because the host may be the problem.
      const target = next === null ? null : URL.parse(next);
      if (!target || !/^https?:$/.test(target.protocol) || target.origin === home.origin) return null;
      const reasons = reasonsFor(target, visit);
      return reasons.length > 0 ? { host: target.host, reasons } : null;
    },
  };
}
