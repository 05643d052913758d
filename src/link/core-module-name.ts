/** The core's name as a module. Apart from what links it: whoever only looks need not load that. */
export const CORE_MODULE = 'ksplice';
