// Why an application sends people back here who are signed in already: what can be seen of it in the configuration and in
// the request. Nothing here decides who is let in anywhere.
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.ts';
import { commonDomain, isUnder } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import type { SessionRow } from '../../store/entities.ts';
import type { NoReturn } from '../return-address.ts';
import { type Html, html } from './html.ts';

/** Who comes back so soon after signing in, or after the last time, did not mean to. In milliseconds. */
const SOON_MS = 60_000;

/** An application that people are sent here from, and what may be wrong with it. */
export interface Sender {
  /** Null where it is not known which. */
  host: string | null;
  /** In words, the likeliest first. */
  reasons: Html[];
}

export interface SentBack {
  /** Null where nothing looks wrong and the visitor has not been here just now. */
  find(visit: { next: string | null; reason: NoReturn | null; session: SessionRow; hasPass: boolean }): Sender | null;
}

export function createSentBack(
  config: Pick<Config, 'publicUrl' | 'cookieDomain' | 'secureCookies'>,
  clock: Clock,
): SentBack {
  const home = new URL(config.publicUrl);
  /** When a session was last sent here from a host. One instance's memory is enough: it is advice. */
  const visits = new LRUCache<string, number>({ max: 500 });

  const isSoon = (host: string, { id, createdAt }: SessionRow): boolean => {
    const key = `${id} ${host}`;
    const now = clock();
    const before = visits.get(key) ?? createdAt;
    visits.set(key, now);
    return now - before < SOON_MS;
  };

  /** What keeps the cookie from a host, whoever signs in. The host is whatever a link says, and a stranger can have made it. */
  const obstacle = ({ protocol, host, hostname }: URL): Html | null => {
    const { cookieDomain } = config;
    if (hostname !== home.hostname && cookieDomain === null) {
      const advice = config.secureCookies
        ? html`Set <code>COOKIE_DOMAIN=${commonDomain(hostname, home.hostname) ?? 'the domain that both are under'}</code>, if every name
under it is yours.`
        : html`For that, COOKIE_DOMAIN has to be set, which takes an https PUBLIC_URL.`;
      return html`${host} is another host name than ${home.hostname}, and COOKIE_DOMAIN is not set: a sign-in here counts
for ${home.hostname} alone. ${advice}`;
    }
    if (hostname !== home.hostname && cookieDomain !== null && !isUnder(hostname, cookieDomain)) {
      return html`${host} is neither ${home.hostname} nor under COOKIE_DOMAIN (${cookieDomain}): no sign-in here reaches
it. Give the application a name under ${cookieDomain}.`;
    }
    if (protocol === 'http:' && config.secureCookies) {
      return html`${host} was asked for over http, and the cookie goes over https alone. Use https there. If you did: let the
proxy send X-Forwarded-Proto, and name it in TRUSTED_PROXIES.`;
    }
    return null;
  };

  const reasonsFor = (target: URL, visit: { session: SessionRow; hasPass: boolean }): Html[] => {
    const found = obstacle(target);
    if (found) return [found];
    if (!isSoon(target.host, visit.session)) return [];
    if (target.hostname !== home.hostname && !visit.hasPass) {
      return [
        html`This browser does not keep the cookie for ${config.cookieDomain}: its settings may forbid it, and browsers keep
none for a domain under which anybody can have a name, such as co.uk.`,
      ];
    }
    return [
      html`The proxy in front of ${target.host} may not hand the <code>Cookie</code> header on to
<code>/api/v1/auth/verify</code>.`,
      html`It may ask another server than this one: another address, or another data folder.`,
      html`The log of this server has a line with the reason for each refusal.`,
    ];
  };

  /** What forward-auth says where it could give no address to go back to. */
  const told: Record<NoReturn, Html> = {
    'proxy-not-trusted': html`What the proxy says of the address that you came from is not believed. Name the proxy in TRUSTED_PROXIES.`,
    'address-not-told': html`The proxy does not say which address you came from. Let it send X-Forwarded-Proto, -Host and -Uri, as
<code>backchannel proxy-config</code> prints it.`,
    'address-not-usable': html`The address that you came from is very long, or it holds a \\, a space or letters that are not encoded, and is not
followed. Ask for it again: you are signed in.`,
    'host-not-allowed': html`It is neither at ${home.hostname} nor under ${config.cookieDomain ?? 'a domain that COOKIE_DOMAIN names'}, or it was
asked for over http and PUBLIC_URL is https: no sign-in here reaches it, or leads back to it.`,
  };

  return {
    find: ({ next, reason, ...visit }) => {
      if (reason !== null) return { host: null, reasons: [told[reason]] };
      // Of an address that is not followed the host is still shown, for it is what may be wrong: as text, and no more.
      const target = next === null ? null : URL.parse(next);
      if (!target || !/^https?:$/.test(target.protocol) || target.origin === home.origin) return null;
      const reasons = reasonsFor(target, visit);
      return reasons.length > 0 ? { host: target.host, reasons } : null;
    },
  };
}
