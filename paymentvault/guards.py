"""What PostgreSQL refuses to everybody, also to the owner of its tables by mistake."""

import pgtrigger

append_only = pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)

# A row's own triggers see no TRUNCATE. Tests empty their tables by it; their settings allow it.
never_truncated = pgtrigger.Trigger(
    name="never_truncated",
    level=pgtrigger.Statement,
    when=pgtrigger.Before,
    operation=pgtrigger.Truncate,
    condition=pgtrigger.Condition(
        "current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on'"
    ),
    func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;",
)
