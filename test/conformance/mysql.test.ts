// The conformance suite over state.mysql, on MariaDB and on MySQL 8.
import { mariadb, mysql } from "./mysql.ts";
import { conformance } from "./suite.ts";

conformance(mariadb);
conformance(mysql);
