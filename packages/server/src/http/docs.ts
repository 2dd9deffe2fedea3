// Placeholder until the docs helper lands.
import { Router } from 'express';
import type { Config } from '../config.ts';
import type { CreateContext } from './context.ts';
export function createDocs(_options: { config: Config; createContext: CreateContext }): Router {
  return Router();
}
