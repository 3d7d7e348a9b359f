/**
 * The function `write_batch` of the database, a part of the first migration. It writes what nearly all batches change in one statement, each table in
 * one order at every node. It fails, and with it the batch, where a row is there that was not (unique_violation), or is not as it had been read
 * (OP002). An array of no rows is NULL. It runs in the server. Parameters: `new_` attempts that are accepted, `attempt_` attempts that change,
 * `added_` compensations that are new, `changed_` compensations that change.
 *
 * `batch` is NULL where the transaction has begun the batch. `is_blind`: nothing was read. Then orders that are known do not go in, nor do their keys,
 * and a compensation that changes must be in the hands of this life. Returns the ids of new attempts, and of new compensations: these with their
 * step, and the id of their attempt as number.
 */
export const WRITE_BATCH_FUNCTION = `
  CREATE FUNCTION write_batch(of_life bigint, batch bigint, is_blind boolean,
    new_orders text[], new_attempts bigint[], new_amounts bigint[], new_accepted bigint[],
    key_clients text[], key_names text[], key_hashes text[], key_orders text[], key_attempts bigint[], key_expiries bigint[],
    added_attempts bigint[], added_steps text[], added_states text[], added_next_tries bigint[],
    attempt_ids bigint[], attempt_owners bigint[], attempt_new_owners bigint[], attempt_ends bigint[], attempt_errors text[],
    attempt_interruptions bigint[], attempt_answered bigint[], attempt_answers text[],
    changed_ids bigint[], changed_states text[], changed_tries bigint[], changed_next_tries bigint[], changed_last_answers text[],
    changed_ends bigint[], changed_notes text[],
    event_ids text[], event_orders text[], event_payloads text[], event_created bigint[], event_kept_ms bigint)
  RETURNS TABLE (order_id text, step text, number bigint, id bigint) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    written bigint;
    is_changed boolean := false;
  BEGIN
    IF batch IS NOT NULL THEN PERFORM begin_batch(of_life, batch); END IF;
    IF cardinality(new_orders) > 0 THEN
      -- The first attempt of an order may be deleted while a later one stands. Not ON CONFLICT DO NOTHING, which costs 8 us a row for the rare
      -- order that another node adds in this moment.
      RETURN QUERY INSERT INTO attempts AS a (order_id, attempt, amount, accepted_ms, open_by)
      SELECT v.order_id, v.attempt, v.amount, v.accepted_ms, of_life
      FROM unnest(new_orders, new_attempts, new_amounts, new_accepted) v (order_id, attempt, amount, accepted_ms)
      WHERE NOT is_blind OR ((SELECT attempt FROM retired_orders r WHERE r.order_id = v.order_id) IS NULL
        AND (SELECT attempt FROM attempts known WHERE known.order_id = v.order_id LIMIT 1) IS NULL)
      RETURNING a.order_id, NULL, a.attempt, a.id;
    END IF;
    IF cardinality(key_names) > 0 THEN
      INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms)
      SELECT v.* FROM unnest(key_clients, key_names, key_hashes, key_orders, key_attempts, key_expiries)
        v (client, key, body_hash, order_id, attempt, expires_ms)
      WHERE NOT is_blind OR (SELECT open_by FROM attempts a WHERE a.order_id = v.order_id AND a.attempt = v.attempt) = of_life;
    END IF;
    IF cardinality(added_attempts) > 0 THEN
      RETURN QUERY INSERT INTO compensations AS c (attempt_id, step, state, next_try_ms, taken_by)
      SELECT v.attempt_id, v.step, v.state, v.next_try_ms, CASE WHEN v.state = 'trying' THEN of_life END
      FROM unnest(added_attempts, added_steps, added_states, added_next_tries) v (attempt_id, step, state, next_try_ms)
      RETURNING NULL, c.step, c.attempt_id, c.id;
    END IF;
    IF cardinality(attempt_ids) > 0 THEN
      UPDATE attempts a SET open_by = v.open_by, ended_ms = v.ended_ms, error = v.error, interrupted = v.interrupted,
        answered = v.answered, answer = v.answer
      FROM unnest(attempt_ids, attempt_owners, attempt_new_owners, attempt_ends, attempt_errors, attempt_interruptions, attempt_answered,
        attempt_answers) v (id, was_open_by, open_by, ended_ms, error, interrupted, answered, answer)
      WHERE a.id = ANY (ARRAY[v.id]) AND a.open_by IS NOT DISTINCT FROM v.was_open_by;
      GET DIAGNOSTICS written = ROW_COUNT;
      is_changed := is_changed OR written <> cardinality(attempt_ids);
    END IF;
    IF cardinality(changed_ids) > 0 THEN
      UPDATE compensations c SET state = v.state, tries = v.tries, next_try_ms = v.next_try_ms, last_answer = v.last_answer,
        ended_ms = v.ended_ms, note = v.note, taken_by = CASE WHEN v.state = 'trying' THEN of_life END
      FROM unnest(changed_ids, changed_states, changed_tries, changed_next_tries, changed_last_answers, changed_ends, changed_notes)
        v (id, state, tries, next_try_ms, last_answer, ended_ms, note)
      WHERE c.id = ANY (ARRAY[v.id]) AND (NOT is_blind OR c.taken_by = of_life);
      GET DIAGNOSTICS written = ROW_COUNT;
      is_changed := is_changed OR written <> cardinality(changed_ids);
    END IF;
    IF cardinality(event_ids) > 0 THEN
      INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)
      SELECT v.id, v.order_id, v.payload, v.created_ms, v.created_ms + event_kept_ms, v.created_ms
      FROM unnest(event_ids, event_orders, event_payloads, event_created) WITH ORDINALITY v (id, order_id, payload, created_ms, place)
      ORDER BY place;
    END IF;
    IF is_changed THEN RAISE EXCEPTION 'rows have changed since they were read' USING ERRCODE = 'OP002'; END IF;
  END $$;
  `;
