from .arrays import (
    Float32Array as Float32Array,
    Float64Array as Float64Array,
    Int64Array as Int64Array,
)
from .cluster_settings import (
    ClusterSettings as ClusterSettings,
    cluster_file as cluster_file,
    write_cluster_settings as write_cluster_settings,
)
from .clusters import (
    open_cluster as open_cluster,
    tell_current_folder as tell_current_folder,
)
from .device import (
    Device as Device,
    available_devices as available_devices,
    choose_device as choose_device,
    in_batches as in_batches,
    is_out_of_memory as is_out_of_memory,
)
from .entries import entry_names as entry_names, load_entry as load_entry
from .errors import (
    ContentError as ContentError,
    Remedy as Remedy,
    UserError as UserError,
    reason_in_words as reason_in_words,
)
from .files import (
    check_replaceable as check_replaceable,
    check_writable as check_writable,
    unfinished_path as unfinished_path,
    write_atomically as write_atomically,
    write_json as write_json,
)
from .html import html_paragraph as html_paragraph, html_table as html_table
from .model_files import (
    Checkpoint as Checkpoint,
    load_checkpoint as load_checkpoint,
    moments_of as moments_of,
    read_provenance as read_provenance,
    save_checkpoint as save_checkpoint,
    set_moments as set_moments,
    weights_digest as weights_digest,
)
from .paces import (
    TRAINING as TRAINING,
    chosen_workers as chosen_workers,
    note_pace as note_pace,
    note_reading as note_reading,
    seconds_for as seconds_for,
    workers_to_read as workers_to_read,
)
from .progress import Progress as Progress, StageRun as StageRun, finished as finished
from .settings import (
    LARGEST_SEED as LARGEST_SEED,
    FieldSpec as FieldSpec,
    FormPlace as FormPlace,
    ForResearch as ForResearch,
    Seed as Seed,
    Settings as Settings,
    ShownElsewhere as ShownElsewhere,
    ShownFirst as ShownFirst,
    later_seed as later_seed,
)
from .threads import compute_threads as compute_threads
from .version import __version__ as __version__
from .words import (
    CAUTION as CAUTION,
    as_cell as as_cell,
    counted as counted,
    from_cell as from_cell,
    ordinal as ordinal,
    printable as printable,
    with_interval as with_interval,
)
from .worker_side import Job as Job, Unfinished as Unfinished
from .workers import (
    ONE_WORKER as ONE_WORKER,
    JobRun as JobRun,
    JobStep as JobStep,
    Workers as Workers,
    most_workers as most_workers,
    sensible_workers as sensible_workers,
)
