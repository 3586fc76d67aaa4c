//! A configuration and a policy for tests of what commands say of them.

/// Keys in SQLite, and the policy beside it.
pub const CONFIG: &str =
    "upstream: { url: http://127.0.0.1:3000 }\npolicy: policy.yaml\nkeys: { store: \"sqlite:keys.db\" }\n";

/// A policy with something of each kind, its routes last: more of them, or `tests`, may follow.
pub const POLICY: &str = "version: 1
base: /api
scopes:
  profiles:read: Read profiles
  profiles:write: { description: Change profiles, implies: [profiles:read] }
  lists:read: Read lists
  admin: Everything else
parameters:
  include: { list: comma, members: { lists: lists:read } }
routes:
  GET /profiles: { scopes: profiles:read, query: { include: [lists] } }
  GET /profiles/{id}: { scopes: [profiles:read], query: { include: [lists] } }
  PATCH /profiles/{id}: [profiles:read, profiles:write]
  DELETE /profiles/{id}: { any_of: [admin, [profiles:write, lists:read]] }
  GET /health: { auth: anyone }
";
