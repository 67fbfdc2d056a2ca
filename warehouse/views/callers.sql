-- callers.sql: `callers`, the rows of `spellings` with a column more: `caller`, the one that `spelling` stands for
-- (null where nobody can be called). Why these rules and no others: docs/decisions/0035-who-a-number-is.md.
-- DuckDB 1.2 reads it, too, in a view.
addresses as (
    -- what is left of `"Somebody" <sip:+15550100077@example.com:5060;transport=udp>`
    select
        *,
        case
            when is_plain then spelling
            else regexp_replace(
                regexp_replace(lower(spelling), '^.*<|>.*$', '', 'gs'),
                '^\s*(sips?|tel):|(:\d+)?([,;?].*|\s*)$',
                '',
                'gs'
            )
        end as address
    -- nearly all texts are nothing but a number, and there may be millions of them
    from (select *, coalesce(regexp_full_match(spelling, '\+?[1-9]\d{6,14}'), false) as is_plain from spellings) as texts
),
parts as (
    select *, split_part(address, '@', 1) as person, split_part(address, '@', 2) as host
    from addresses
),
letters as (
    -- letters, digits and `+` alone, without a trunk zero in brackets and without an extension
    select
        *,
        case
            when is_plain then spelling
            else regexp_replace(
                replace(person, '%2b', '+'),
                '\(0\)|(x|ext\.?)\s*\d+$|[\p{Z}\p{C}\p{P}]',
                '',
                'g'
            )
        end as spelt
    from parts
),
numbers as (
    select
        *,
        case
            when is_plain then ltrim(spelling, '+')
            else regexp_extract(spelt, '^(?:\+|00)*(\d{3,15})$', 1)
        end as digits
    from letters
),
callers as (
    select
        * exclude (is_plain, address, person, host, spelt, digits),
        case
            when host like '%.invalid' then null
            -- a number of zeros alone, and words that were typed on a keypad (a test spells them out)
            when regexp_full_match(
                digits,
                '0+|10{7,}|1?(266696687|7378742833|8656696|86282452253|7748283|2562533|94844353|27737833|443336|464)'
            )
            then null
            -- a few digits at a host are an extension there
            when digits <> '' and (host = '' or spelt like '+%' or len(digits) > 6)
            then case when digits like '0%' then digits else '+' || digits end
            when host = '' or person = '' then null
            when regexp_full_match(
                spelt,
                '(asserted|blocked|hidden|none|null|restricted|undefined|unknown|withheld'
                || '|anonym(ous)?|(not|un)available|priva(te|cy))(caller|id|name|number|user)?'
            )
            then null
            else address
        end as caller
    from numbers
)
