-- The roles and the database, made once by the superuser; docs/postgres.md says what each is for. Passwords come from the
-- environment: OWNER_PASSWORD, APPLICATION_PASSWORD.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv application_password APPLICATION_PASSWORD
create role nexus_owner login password :'owner_password';
create role nexus_app login noinherit password :'application_password';
create role nexus_doors nologin;
grant nexus_doors to nexus_app;
create database nexus owner nexus_owner encoding 'UTF8' template template0;
