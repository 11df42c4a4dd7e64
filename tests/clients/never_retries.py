"""Makes one attempt and gives up. Caught by `attempts_per_call`; where a retry would have been
served, by `outcome`, `final_status` and `final_code`."""

from common import call, finish

finish(call(waits_s=()))
