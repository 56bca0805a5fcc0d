#ifndef CFG_TABLES_H
#define CFG_TABLES_H

#include "config/row.h"

/** The sections, one or a few per file; config_table.c puts them together. */
extern const cfg_section cfg_table_root;
extern const cfg_section cfg_table_library, cfg_table_participant, cfg_table_storage;
extern const cfg_section cfg_table_own;
extern const cfg_section cfg_table_vault;
extern const cfg_section cfg_table_server, cfg_table_connector, cfg_table_connector_tls;
extern const cfg_section cfg_table_http_client;
extern const cfg_section cfg_table_logging, cfg_table_appender;
extern const cfg_section cfg_table_database;
extern const cfg_section cfg_table_metrics, cfg_table_admin, cfg_table_health;

#define CFG_ROWS(array) (array), sizeof(array) / sizeof(array)[0]

#endif
