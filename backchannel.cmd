@echo off
rem The command line of this checkout, run by the checkout's own Node.js: backchannel help
setlocal
if not exist "%~dp0packages\cli\node_modules" (
  echo backchannel: nothing is installed in %~dp0. Run this there once: npx -y pnpm@12 install 1>&2
  exit /b 1
)
set "main=%~dp0packages\cli\src\main.ts"
if exist "%~dp0node_modules\.bin\node.exe" (
  "%~dp0node_modules\.bin\node.exe" "%main%" %*
) else if exist "%~dp0node_modules\.bin\node.cmd" (
  call "%~dp0node_modules\.bin\node.cmd" "%main%" %*
) else (
  node "%main%" %*
)
exit /b %errorlevel%
