// Builds the procedures' context from a request, without using Express, so that every transport can share it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '../services/access/principal.ts';
import { describeCaller } from '../services/caller.ts';
import type { Device } from '../services/devices.ts';
import type { Services } from '../services/services.ts';
import type { Context } from '../trpc.ts';
import { readBearer } from './bearer.ts';
import type { ClientAddress } from './client-address.ts';
import type { Cookies } from './cookies.ts';
import { requestIdOf } from './request-id.ts';

export type CreateContext = (req: IncomingMessage, res: ServerResponse) => Context;

export function createContextFactory(options: {
  cookies: Cookies;
  clientAddress: ClientAddress;
  services: Services;
}): CreateContext {
  const { cookies, clientAddress, services } = options;

  return (req, res) => {
    const bearer = readBearer(req.headers);
    const cookieHeader = bearer === null ? req.headers.cookie : undefined;
    const caller = describeCaller({
      ip: clientAddress(req),
      userAgent: req.headers['user-agent'],
      requestId: requestIdOf(res),
    });
    /** A later line for a cookie replaces an earlier one (RFC 6265, 4.1.1). */
    const setCookie = (line: string) => {
      const name = line.slice(0, line.indexOf('=') + 1);
      const others = [res.getHeader('Set-Cookie') ?? []].flat().filter((other) => !String(other).startsWith(name));
      res.setHeader('Set-Cookie', [...others.map(String), line]);
    };
    const setDeviceCookie = (value: string, expiresAt: number) => setCookie(cookies.device.set(value, expiresAt));
    const identifyDevice = async (): Promise<Device | null> => {
      const known = await services.devices.identify(cookies.device.read(cookieHeader));
      if (known || !cookies.formerDevice) return known;
      const former = await services.devices.identify(cookies.formerDevice.read(cookieHeader));
      if (!former) return null;
      const { cookie, expiresAt } = await services.devices.sign(former);
      setDeviceCookie(cookie, expiresAt);
      setCookie(cookies.formerDevice.clear());
      return former;
    };
    let principal: Promise<Principal | null> | undefined;
    let device: Promise<Device | null> | undefined;
    let isUseRecorded = false;
    return {
      services,
      caller,
      presentsToken: bearer !== null,
      authenticate: () => {
        principal ??= services.gate.authenticate(
          { bearer, sessionCookies: cookies.session.read(cookieHeader), passCookies: [] },
          'api',
        );
        return principal;
      },
      device: () => {
        device ??= identifyDevice();
        return device;
      },
      recordUse: (principal) => {
        if (!isUseRecorded) services.activity.record(principal, caller.ip);
        isUseRecorded = true;
      },
      setSessionCookies: (values, expiresAt) => {
        setCookie(cookies.session.set(values.session, expiresAt));
        if (cookies.pass) setCookie(cookies.pass.set(values.pass, expiresAt));
      },
      renewPass: async (session) => {
        if (!cookies.pass) return { hadPass: false };
        const renewed = await services.sessions.renewPass(cookies.session.read(cookieHeader), session);
        if (renewed) setCookie(cookies.pass.set(renewed.pass, renewed.expiresAt));
        return { hadPass: cookies.pass.read(cookieHeader).length > 0 };
      },
      endOfSession: async () => {
        const values = cookies.session.read(cookieHeader);
        return values.length === 0 ? null : services.sessions.endOf(values);
      },
      // A bearer token alone decides who is calling, so the request's cookies stay as they are.
      clearSessionCookies: () => {
        if (bearer !== null) return;
        setCookie(cookies.session.clear());
        if (cookies.pass) setCookie(cookies.pass.clear());
      },
      setDeviceCookie,
    };
  };
}
