SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.account (
    name character varying(64) NOT NULL,
    role character varying(16) NOT NULL,
    password text NOT NULL,
    made_s double precision NOT NULL,
    signed_in_s double precision
);
CREATE TABLE public.account_schema (
    version integer NOT NULL
);
CREATE SEQUENCE public.account_schema_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.account_schema_version_seq OWNED BY public.account_schema.version;
CREATE TABLE public.account_session (
    number integer NOT NULL,
    secret character varying(64) NOT NULL,
    account character varying(64) NOT NULL,
    made_s double precision NOT NULL,
    seen_s double precision NOT NULL,
    until_s double precision NOT NULL,
    address character varying(64) NOT NULL
);
CREATE SEQUENCE public.account_session_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.account_session_number_seq OWNED BY public.account_session.number;
CREATE TABLE public.account_token (
    number integer NOT NULL,
    secret character varying(64) NOT NULL,
    account character varying(64) NOT NULL,
    made_s double precision NOT NULL,
    until_s double precision NOT NULL
);
CREATE SEQUENCE public.account_token_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.account_token_number_seq OWNED BY public.account_token.number;
CREATE TABLE public.alert (
    kind character varying(16) NOT NULL,
    subject character varying(64) NOT NULL,
    words text NOT NULL,
    mark text NOT NULL,
    groups text NOT NULL,
    began_s double precision NOT NULL,
    told_s double precision NOT NULL
);
CREATE TABLE public.alert_change (
    number integer NOT NULL,
    turn character varying(16) NOT NULL,
    kind character varying(16) NOT NULL,
    subject character varying(64) NOT NULL,
    words text NOT NULL,
    groups text NOT NULL,
    began_s double precision NOT NULL,
    at_s double precision NOT NULL
);
CREATE SEQUENCE public.alert_change_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.alert_change_number_seq OWNED BY public.alert_change.number;
CREATE TABLE public.alert_lease (
    one integer NOT NULL,
    holder character varying(64) NOT NULL,
    until_s double precision NOT NULL
);
CREATE SEQUENCE public.alert_lease_one_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.alert_lease_one_seq OWNED BY public.alert_lease.one;
CREATE TABLE public.alert_target (
    target character varying(64) NOT NULL,
    told integer NOT NULL,
    told_s double precision,
    tried_s double precision,
    tries integer NOT NULL,
    why text
);
CREATE TABLE public.audit (
    number integer NOT NULL,
    at_s double precision NOT NULL,
    who character varying(64) NOT NULL,
    what character varying(64) NOT NULL,
    subject text NOT NULL,
    outcome character varying(16) NOT NULL,
    address character varying(64) NOT NULL
);
CREATE SEQUENCE public.audit_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_number_seq OWNED BY public.audit.number;
CREATE TABLE public.device (
    id bigint NOT NULL,
    name character varying(64) NOT NULL,
    first_heard_s double precision NOT NULL
);
CREATE SEQUENCE public.device_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.device_id_seq OWNED BY public.device.id;
CREATE TABLE public.event (
    id bigint NOT NULL,
    device integer NOT NULL,
    at_s double precision NOT NULL,
    heard_s double precision NOT NULL,
    kind character varying(16) NOT NULL,
    subject character varying(64) NOT NULL,
    pipeline text,
    text text NOT NULL,
    payload bytea NOT NULL
);
CREATE TABLE public.fine (
    id bigint NOT NULL,
    slot integer NOT NULL,
    device integer NOT NULL,
    pipeline integer NOT NULL,
    release integer NOT NULL,
    made_s double precision NOT NULL,
    seconds double precision NOT NULL,
    frames bigint NOT NULL,
    skipped bigint NOT NULL,
    driver bigint NOT NULL,
    decode bigint NOT NULL,
    refused bigint NOT NULL,
    restarts bigint NOT NULL,
    stages bytea NOT NULL
);
CREATE TABLE public.hour (
    slot integer NOT NULL,
    device integer NOT NULL,
    pipeline integer NOT NULL,
    release integer NOT NULL,
    seconds double precision NOT NULL,
    frames bigint NOT NULL,
    skipped bigint NOT NULL,
    driver bigint NOT NULL,
    decode bigint NOT NULL,
    refused bigint NOT NULL,
    restarts bigint NOT NULL,
    stages bytea NOT NULL
);
CREATE TABLE public.lease (
    name character varying(64) NOT NULL,
    holder character varying(64) NOT NULL,
    until_s double precision NOT NULL
);
CREATE TABLE public.life (
    id bigint NOT NULL,
    device integer NOT NULL,
    pipeline character varying(64) NOT NULL,
    model character varying(64) NOT NULL,
    version character varying(64) NOT NULL,
    deployment bigint NOT NULL,
    digest text,
    phase character varying(16) NOT NULL,
    began_s double precision NOT NULL,
    changed_s double precision NOT NULL,
    steps bytea NOT NULL
);
CREATE SEQUENCE public.life_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.life_id_seq OWNED BY public.life.id;
CREATE TABLE public.pipeline (
    id bigint NOT NULL,
    name character varying(64) NOT NULL
);
CREATE SEQUENCE public.pipeline_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.pipeline_id_seq OWNED BY public.pipeline.id;
CREATE TABLE public.registry_schema (
    version integer NOT NULL
);
CREATE SEQUENCE public.registry_schema_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.registry_schema_version_seq OWNED BY public.registry_schema.version;
CREATE TABLE public.release (
    id bigint NOT NULL,
    model character varying(64) NOT NULL,
    version character varying(64) NOT NULL
);
CREATE SEQUENCE public.release_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.release_id_seq OWNED BY public.release.id;
CREATE TABLE public.retained (
    device bigint NOT NULL,
    is_online boolean,
    since_s double precision,
    boot text,
    presence bytea,
    state bytea
);
CREATE TABLE public.service (
    name character varying(64) NOT NULL,
    holder character varying(64) NOT NULL,
    at_s double precision NOT NULL,
    status text NOT NULL,
    trouble text
);
CREATE TABLE public.spool (
    device bigint NOT NULL,
    spool character varying(64) NOT NULL,
    floor bigint NOT NULL,
    began bigint NOT NULL,
    beyond bytea NOT NULL,
    open bytea NOT NULL,
    lost bigint NOT NULL,
    heard_s double precision NOT NULL
);
CREATE TABLE public.tens (
    slot integer NOT NULL,
    device integer NOT NULL,
    pipeline integer NOT NULL,
    release integer NOT NULL,
    seconds double precision NOT NULL,
    frames bigint NOT NULL,
    skipped bigint NOT NULL,
    driver bigint NOT NULL,
    decode bigint NOT NULL,
    refused bigint NOT NULL,
    restarts bigint NOT NULL,
    stages bytea NOT NULL
);
CREATE TABLE public.together (
    id bigint NOT NULL,
    at_s integer NOT NULL,
    width_s integer NOT NULL,
    pipeline integer NOT NULL,
    release integer NOT NULL,
    seconds double precision NOT NULL,
    frames bigint NOT NULL,
    skipped bigint NOT NULL,
    driver bigint NOT NULL,
    decode bigint NOT NULL,
    refused bigint NOT NULL,
    restarts bigint NOT NULL,
    stages bytea NOT NULL
);
CREATE SEQUENCE public.together_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.together_id_seq OWNED BY public.together.id;
CREATE TABLE public.turn (
    id integer NOT NULL,
    batch bigint NOT NULL,
    fine_id bigint NOT NULL,
    event_id bigint NOT NULL,
    rolled bigint NOT NULL,
    hour_slot integer NOT NULL,
    vital_slot integer NOT NULL
);
CREATE SEQUENCE public.turn_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.turn_id_seq OWNED BY public.turn.id;
CREATE TABLE public.vital (
    slot integer NOT NULL,
    device integer NOT NULL,
    made_s double precision NOT NULL,
    hottest smallint,
    cpu smallint,
    memory smallint,
    disk smallint,
    throttled smallint NOT NULL
);
CREATE TABLE public.vital_hour (
    slot integer NOT NULL,
    device integer NOT NULL,
    hottest smallint,
    cpu smallint,
    memory smallint,
    disk smallint,
    throttled smallint NOT NULL
);
CREATE TABLE public.vital_tens (
    slot integer NOT NULL,
    device integer NOT NULL,
    hottest smallint,
    cpu smallint,
    memory smallint,
    disk smallint,
    throttled smallint NOT NULL
);
CREATE TABLE public.word (
    device bigint NOT NULL,
    changed bigint NOT NULL,
    heard_s double precision NOT NULL,
    is_removed boolean NOT NULL,
    spool text,
    seq bigint,
    boot text,
    uptime_s double precision,
    reached_s double precision,
    clock_off_s double precision,
    lost bigint NOT NULL,
    telemetry bytea
);
ALTER TABLE ONLY public.account_schema ALTER COLUMN version SET DEFAULT nextval('public.account_schema_version_seq'::regclass);
ALTER TABLE ONLY public.account_session ALTER COLUMN number SET DEFAULT nextval('public.account_session_number_seq'::regclass);
ALTER TABLE ONLY public.account_token ALTER COLUMN number SET DEFAULT nextval('public.account_token_number_seq'::regclass);
ALTER TABLE ONLY public.alert_change ALTER COLUMN number SET DEFAULT nextval('public.alert_change_number_seq'::regclass);
ALTER TABLE ONLY public.alert_lease ALTER COLUMN one SET DEFAULT nextval('public.alert_lease_one_seq'::regclass);
ALTER TABLE ONLY public.audit ALTER COLUMN number SET DEFAULT nextval('public.audit_number_seq'::regclass);
ALTER TABLE ONLY public.device ALTER COLUMN id SET DEFAULT nextval('public.device_id_seq'::regclass);
ALTER TABLE ONLY public.life ALTER COLUMN id SET DEFAULT nextval('public.life_id_seq'::regclass);
ALTER TABLE ONLY public.pipeline ALTER COLUMN id SET DEFAULT nextval('public.pipeline_id_seq'::regclass);
ALTER TABLE ONLY public.registry_schema ALTER COLUMN version SET DEFAULT nextval('public.registry_schema_version_seq'::regclass);
ALTER TABLE ONLY public.release ALTER COLUMN id SET DEFAULT nextval('public.release_id_seq'::regclass);
ALTER TABLE ONLY public.together ALTER COLUMN id SET DEFAULT nextval('public.together_id_seq'::regclass);
ALTER TABLE ONLY public.turn ALTER COLUMN id SET DEFAULT nextval('public.turn_id_seq'::regclass);
INSERT INTO public.account VALUES ('olga', 'operator', '$argon2id$v=19$m=19456,t=2,p=1$NzkDFmLePrfPstZhTU4BOA$qbr0Xus1sK7A2s62QkniWbsiFd980vXDIQKr4gcmRUw', 1795298640.6517184, NULL);
INSERT INTO public.account_schema VALUES (1);
INSERT INTO public.alert VALUES ('hot', 'door', '91 C hot', '', '[]', 1, 2);
INSERT INTO public.alert_change VALUES (1, 'raised', 'hot', 'door', '91 C hot', '[]', 1, 2);
INSERT INTO public.audit VALUES (1, 1795298640.8322155, 'olga', 'deploy', 'door', 'done', '192.0.2.1');
INSERT INTO public.device VALUES (1, 'door', 1795284000);
INSERT INTO public.device VALUES (2, 'gate', 1795284000);
INSERT INTO public.event VALUES (1, 1, 1795284001, 1795284001, 'note', 'camera', 'lane', 'first', '\x7b2273706f6f6c223a223562303031222c22736571223a332c226f6c64657374223a332c22626f6f74223a226231222c2274696d65223a313739353238343030312e302c22757074696d655f73223a38363430312e302c226b696e64223a226e6f7465222c227375626a656374223a2263616d657261222c22706970656c696e65223a226c616e65222c2274657874223a226669727374222c22757064617465223a6e756c6c7d');
INSERT INTO public.event VALUES (2, 2, 1795284002, 1795284002, 'note', 'camera', 'lane', 'second', '\x7b2273706f6f6c223a223562303031222c22736571223a322c226f6c64657374223a322c22626f6f74223a226231222c2274696d65223a313739353238343030322e302c22757074696d655f73223a38363430322e302c226b696e64223a226e6f7465222c227375626a656374223a2263616d657261222c22706970656c696e65223a226c616e65222c2274657874223a227365636f6e64222c22757064617465223a6e756c6c7d');
INSERT INTO public.event VALUES (3, 1, 1795283950, 1795283950, 'fault', 'camera', 'lane', 'late', '\x7b2273706f6f6c223a223562303031222c22736571223a322c226f6c64657374223a322c22626f6f74223a226231222c2274696d65223a313739353238333935302e302c22757074696d655f73223a38363335302e302c226b696e64223a226661756c74222c227375626a656374223a2263616d657261222c22706970656c696e65223a226c616e65222c2274657874223a226c617465222c22757064617465223a6e756c6c7d');
INSERT INTO public.event VALUES (4, 1, 1795284003, 1795284003, 'update', 'model', 'lane', 'digits 2: trial', '\x7b2273706f6f6c223a223562303031222c22736571223a342c226f6c64657374223a342c22626f6f74223a226231222c2274696d65223a313739353238343030332e302c22757074696d655f73223a38363430332e302c226b696e64223a22757064617465222c227375626a656374223a226d6f64656c222c22706970656c696e65223a226c616e65222c2274657874223a2264696769747320323a20747269616c222c22757064617465223a7b227068617365223a22747269616c222c226d6f64656c223a22646967697473222c2276657273696f6e223a2232222c22646967657374223a2265656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565222c226465706c6f796d656e74223a332c2273696e6365223a313739353238343030332e302c2270657263656e74223a6e756c6c2c22726561736f6e223a22736f20747269616c227d7d');
INSERT INTO public.fine VALUES (1, 2992140, 1, 1, 1, 1795284000, 10, 2, 2, 1, 0, 0, 0, '\x17099543a03a09438dd72043710005000ad3bf448d1f19448786664494000a00bfb757466025c6451f4ae945ca0004008340e042e7fb42421f857d4259000700a758a446dcbf044673f14346d0000a00010000000101000000000000000001010000010100000000000101000000000000000001');
INSERT INTO public.fine VALUES (2, 2992140, 2, 1, 1, 1795284000, 10, 2, 2, 1, 0, 0, 0, '\x17099543a03a09438dd72043710005000ad3bf448d1f19448786664494000a00bfb757466025c6451f4ae945ca0004008340e042e7fb42421f857d4259000700a758a446dcbf044673f14346d0000a00010000000101000000000000000001010000010100000000000101000000000000000001');
INSERT INTO public.life VALUES (1, 1, 'lane', 'digits', '2', 3, 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 'trial', 1795284003, 1795284003, '\x9184a57068617365a5747269616ca461745f73cb41dac07708c00000a770657263656e74c0a6726561736f6ea8736f20747269616c');
INSERT INTO public.pipeline VALUES (1, 'lane');
INSERT INTO public.registry_schema VALUES (1);
INSERT INTO public.release VALUES (1, 'digits', '1');
INSERT INTO public.retained VALUES (1, true, 1795284000, 'b1', '\x7b226f6e6c696e65223a747275652c22626f6f74223a226231222c2273657373696f6e223a2273657373696f6e222c2273706f6f6c223a223562303031227d', '\x7b226167656e74223a22312e30222c22626f617264223a225261737062657272792050692034222c2267726f757073223a5b226e6f727468225d2c22626f6f74223a226231222c2261636b6e6f776c65646765645f6279223a227265676973747279222c2274656c656d657472795f73223a31302e302c226c6f675f6c6576656c223a22696e666f222c22736e617073686f7473223a66616c73652c226661756c7473223a5b5d2c22636f6e666967223a6e756c6c2c22706970656c696e6573223a7b226c616e65223a7b227068617365223a2273657276696e67222c226d6f64656c223a22646967697473222c2276657273696f6e223a2231222c22646967657374223a2264646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464222c22656e67696e65223a226e756c6c222c2263616d657261223a2273796e7468657469633a2f2f222c22616273656e74223a6e756c6c2c227265737461727473223a302c2273657474696e6773223a7b7d2c22757064617465223a6e756c6c7d7d2c2274727573746564223a6e756c6c7d');
INSERT INTO public.spool VALUES (1, '5b001', 4, 1, '\x90', '\x91930000cb41dac07708000000', 0, 1795284003);
INSERT INTO public.spool VALUES (2, '5b001', 2, 1, '\x90', '\x91930000cb41dac07708000000', 0, 1795284002);
INSERT INTO public.tens VALUES (2992140, 1, 1, 1, 10, 2, 2, 1, 0, 0, 0, '\x17099543a03a09438dd72043710005000ad3bf448d1f19448786664494000a00bfb757466025c6451f4ae945ca0004008340e042e7fb42421f857d4259000700a758a446dcbf044673f14346d0000a00010000000101000000000000000001010000010100000000000101000000000000000001');
INSERT INTO public.tens VALUES (2992140, 2, 1, 1, 10, 2, 2, 1, 0, 0, 0, '\x17099543a03a09438dd72043710005000ad3bf448d1f19448786664494000a00bfb757466025c6451f4ae945ca0004008340e042e7fb42421f857d4259000700a758a446dcbf044673f14346d0000a00010000000101000000000000000001010000010100000000000101000000000000000001');
INSERT INTO public.together VALUES (1, 1795284000, 1, 1, 1, 20, 4, 4, 2, 0, 0, 0, '\x17091544a03a09438dd72043710005000ad33f458d1f19448786664494000a00bfb7d7466025c6451f4ae945ca00040083406043e7fb42421f857d4259000700a7582447dcbf044673f14346d0000a00020000000202000000000000000002020000020200000000000202000000000000000002');
INSERT INTO public.turn VALUES (1, 2, 2, 4, 2, 0, 0);
INSERT INTO public.vital VALUES (2992140, 1, 1795284000, 550, 300, 750, 750, 0);
INSERT INTO public.vital VALUES (2992140, 2, 1795284000, 550, 300, 750, 750, 0);
INSERT INTO public.word VALUES (1, 2, 1795284003, false, '5b001', 1, 'b1', 86400, 1795284000, 0, 0, '\x7b2273706f6f6c223a223562303031222c22736571223a312c226f6c64657374223a312c22626f6f74223a226231222c2274696d65223a313739353238343030302e302c22757074696d655f73223a38363430302e302c2277696e646f775f73223a31302e302c226c6f7374223a302c22706970656c696e6573223a7b226c616e65223a7b226d6f64656c223a22646967697473222c2276657273696f6e223a2231222c22646967657374223a2264646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464222c22656e67696e65223a226e756c6c222c2263616d657261223a2273796e7468657469633a2f2f222c227068617365223a2273657276696e67222c22616273656e74223a6e756c6c2c227365636f6e6473223a31302e302c226672616d6573223a322c22667073223a302e322c226c6f73736573223a7b22736b6970706564223a322c22647269766572223a312c226465636f6465223a302c2272656675736564223a307d2c22737461676573223a7b227175657565223a7b22636f756e74223a322c2273756d5f7573223a3239382e3037312c226f6666736574223a3131332c22636f756e7473223a5b312c302c302c302c315d2c226d696e696d756d5f7573223a3133372e3232392c226d6178696d756d5f7573223a3136302e3834322c227363616c65223a347d2c2270726570726f63657373223a7b22636f756e74223a322c2273756d5f7573223a313533342e3539352c226f6666736574223a3134382c22636f756e7473223a5b312c302c302c302c302c302c302c302c302c315d2c226d696e696d756d5f7573223a3631322e3439332c226d6178696d756d5f7573223a3932322e3130322c227363616c65223a347d2c22696e666572656e6365223a7b22636f756e74223a322c2273756d5f7573223a31333830352e3933372c226f6666736574223a3230322c22636f756e7473223a5b312c302c302c315d2c226d696e696d756d5f7573223a363334302e3637322c226d6178696d756d5f7573223a373436352e3236352c227363616c65223a347d2c22706f737470726f63657373223a7b22636f756e74223a322c2273756d5f7573223a3131322e3132362c226f6666736574223a38392c22636f756e7473223a5b312c302c302c302c302c302c315d2c226d696e696d756d5f7573223a34382e3734362c226d6178696d756d5f7573223a36332e33382c227363616c65223a347d2c22656e645f746f5f656e64223a7b22636f756e74223a322c2273756d5f7573223a32313033362e3332363939393939393939372c226f6666736574223a3230382c22636f756e7473223a5b312c302c302c302c302c302c302c302c302c315d2c226d696e696d756d5f7573223a383439352e3936352c226d6178696d756d5f7573223a31323534302e3336322c227363616c65223a347d7d2c227265737461727473223a302c22756e73656e74223a302c2273636f726573223a7b7d2c227273735f6279746573223a6e756c6c2c227468726f74746c6564223a5b5d7d7d2c226865616c7468223a7b226370755f70657263656e74223a5b32302e302c34302e305d2c226d656d6f7279223a7b22746f74616c223a343030303030303030302c22617661696c61626c65223a313030303030303030302c22737761705f746f74616c223a6e756c6c2c22737761705f75736564223a6e756c6c7d2c226469736b223a7b22746f74616c223a33323030303030303030302c2266726565223a383030303030303030307d2c2274656d7065726174757265735f63223a7b22637075223a35352e307d2c22636c6f636b5f73796e6368726f6e69736564223a747275652c227468726f74746c65223a7b226e6f77223a5b5d2c2273696e63655f626f6f74223a5b5d7d7d7d');
INSERT INTO public.word VALUES (2, 2, 1795284002, false, '5b001', 1, 'b1', 86400, 1795284000, 0, 0, '\x7b2273706f6f6c223a223562303031222c22736571223a312c226f6c64657374223a312c22626f6f74223a226231222c2274696d65223a313739353238343030302e302c22757074696d655f73223a38363430302e302c2277696e646f775f73223a31302e302c226c6f7374223a302c22706970656c696e6573223a7b226c616e65223a7b226d6f64656c223a22646967697473222c2276657273696f6e223a2231222c22646967657374223a2264646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464222c22656e67696e65223a226e756c6c222c2263616d657261223a2273796e7468657469633a2f2f222c227068617365223a2273657276696e67222c22616273656e74223a6e756c6c2c227365636f6e6473223a31302e302c226672616d6573223a322c22667073223a302e322c226c6f73736573223a7b22736b6970706564223a322c22647269766572223a312c226465636f6465223a302c2272656675736564223a307d2c22737461676573223a7b227175657565223a7b22636f756e74223a322c2273756d5f7573223a3239382e3037312c226f6666736574223a3131332c22636f756e7473223a5b312c302c302c302c315d2c226d696e696d756d5f7573223a3133372e3232392c226d6178696d756d5f7573223a3136302e3834322c227363616c65223a347d2c2270726570726f63657373223a7b22636f756e74223a322c2273756d5f7573223a313533342e3539352c226f6666736574223a3134382c22636f756e7473223a5b312c302c302c302c302c302c302c302c302c315d2c226d696e696d756d5f7573223a3631322e3439332c226d6178696d756d5f7573223a3932322e3130322c227363616c65223a347d2c22696e666572656e6365223a7b22636f756e74223a322c2273756d5f7573223a31333830352e3933372c226f6666736574223a3230322c22636f756e7473223a5b312c302c302c315d2c226d696e696d756d5f7573223a363334302e3637322c226d6178696d756d5f7573223a373436352e3236352c227363616c65223a347d2c22706f737470726f63657373223a7b22636f756e74223a322c2273756d5f7573223a3131322e3132362c226f6666736574223a38392c22636f756e7473223a5b312c302c302c302c302c302c315d2c226d696e696d756d5f7573223a34382e3734362c226d6178696d756d5f7573223a36332e33382c227363616c65223a347d2c22656e645f746f5f656e64223a7b22636f756e74223a322c2273756d5f7573223a32313033362e3332363939393939393939372c226f6666736574223a3230382c22636f756e7473223a5b312c302c302c302c302c302c302c302c302c315d2c226d696e696d756d5f7573223a383439352e3936352c226d6178696d756d5f7573223a31323534302e3336322c227363616c65223a347d7d2c227265737461727473223a302c22756e73656e74223a302c2273636f726573223a7b7d2c227273735f6279746573223a6e756c6c2c227468726f74746c6564223a5b5d7d7d2c226865616c7468223a7b226370755f70657263656e74223a5b32302e302c34302e305d2c226d656d6f7279223a7b22746f74616c223a343030303030303030302c22617661696c61626c65223a313030303030303030302c22737761705f746f74616c223a6e756c6c2c22737761705f75736564223a6e756c6c7d2c226469736b223a7b22746f74616c223a33323030303030303030302c2266726565223a383030303030303030307d2c2274656d7065726174757265735f63223a7b22637075223a35352e307d2c22636c6f636b5f73796e6368726f6e69736564223a747275652c227468726f74746c65223a7b226e6f77223a5b5d2c2273696e63655f626f6f74223a5b5d7d7d7d');
SELECT pg_catalog.setval('public.account_schema_version_seq', 1, false);
SELECT pg_catalog.setval('public.account_session_number_seq', 1, false);
SELECT pg_catalog.setval('public.account_token_number_seq', 1, false);
SELECT pg_catalog.setval('public.alert_change_number_seq', 1, true);
SELECT pg_catalog.setval('public.alert_lease_one_seq', 1, false);
SELECT pg_catalog.setval('public.audit_number_seq', 1, true);
SELECT pg_catalog.setval('public.device_id_seq', 2, true);
SELECT pg_catalog.setval('public.life_id_seq', 1, true);
SELECT pg_catalog.setval('public.pipeline_id_seq', 1, true);
SELECT pg_catalog.setval('public.registry_schema_version_seq', 1, false);
SELECT pg_catalog.setval('public.release_id_seq', 1, true);
SELECT pg_catalog.setval('public.together_id_seq', 1, true);
SELECT pg_catalog.setval('public.turn_id_seq', 1, false);
ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.account_schema
    ADD CONSTRAINT account_schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.account_session
    ADD CONSTRAINT account_session_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.account_session
    ADD CONSTRAINT account_session_secret_key UNIQUE (secret);
ALTER TABLE ONLY public.account_token
    ADD CONSTRAINT account_token_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.account_token
    ADD CONSTRAINT account_token_secret_key UNIQUE (secret);
ALTER TABLE ONLY public.alert_change
    ADD CONSTRAINT alert_change_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.alert_lease
    ADD CONSTRAINT alert_lease_pkey PRIMARY KEY (one);
ALTER TABLE ONLY public.alert
    ADD CONSTRAINT alert_pkey PRIMARY KEY (kind, subject);
ALTER TABLE ONLY public.alert_target
    ADD CONSTRAINT alert_target_pkey PRIMARY KEY (target);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_name_key UNIQUE (name);
ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.fine
    ADD CONSTRAINT fine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.hour
    ADD CONSTRAINT hour_pkey PRIMARY KEY (slot, device, pipeline, release);
ALTER TABLE ONLY public.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.life
    ADD CONSTRAINT life_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_name_key UNIQUE (name);
ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.registry_schema
    ADD CONSTRAINT registry_schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.release
    ADD CONSTRAINT release_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.retained
    ADD CONSTRAINT retained_pkey PRIMARY KEY (device);
ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_pkey PRIMARY KEY (name, holder);
ALTER TABLE ONLY public.spool
    ADD CONSTRAINT spool_pkey PRIMARY KEY (device, spool);
ALTER TABLE ONLY public.tens
    ADD CONSTRAINT tens_pkey PRIMARY KEY (slot, device, pipeline, release);
ALTER TABLE ONLY public.together
    ADD CONSTRAINT together_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.turn
    ADD CONSTRAINT turn_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.vital_hour
    ADD CONSTRAINT vital_hour_pkey PRIMARY KEY (slot, device);
ALTER TABLE ONLY public.vital
    ADD CONSTRAINT vital_pkey PRIMARY KEY (slot, device, made_s);
ALTER TABLE ONLY public.vital_tens
    ADD CONSTRAINT vital_tens_pkey PRIMARY KEY (slot, device);
ALTER TABLE ONLY public.word
    ADD CONSTRAINT word_pkey PRIMARY KEY (device);
CREATE INDEX audit_who ON public.audit USING btree (who, number);
CREATE INDEX event_at ON public.event USING btree (at_s);
CREATE INDEX event_device ON public.event USING btree (device, id);
CREATE INDEX fine_slot ON public.fine USING btree (slot, device);
CREATE INDEX ix_account_session_account ON public.account_session USING btree (account);
CREATE INDEX ix_account_token_account ON public.account_token USING btree (account);
CREATE INDEX ix_life_changed_s ON public.life USING btree (changed_s);
CREATE INDEX ix_spool_heard_s ON public.spool USING btree (heard_s);
CREATE INDEX ix_word_changed ON public.word USING btree (changed);
CREATE UNIQUE INDEX life_of ON public.life USING btree (device, pipeline, model, version, deployment);
CREATE UNIQUE INDEX release_name ON public.release USING btree (model, version);
CREATE INDEX together_at ON public.together USING btree (width_s, at_s);
ALTER TABLE ONLY public.account_session
    ADD CONSTRAINT account_session_account_fkey FOREIGN KEY (account) REFERENCES public.account(name) ON DELETE CASCADE;
ALTER TABLE ONLY public.account_token
    ADD CONSTRAINT account_token_account_fkey FOREIGN KEY (account) REFERENCES public.account(name) ON DELETE CASCADE;
