# fish completion for apt-ostree(1). Made from the command tree by "make docs"; do not edit.

# True when the words typed so far lead to exactly the command of the arguments; options and their values are skipped.
function __apt_ostree_at
    set -l found
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case --branch --color --disable-repo --format --install --match --os --progress --ref --repo --script-timeout --stateroot --sysroot --uninstall
                set skip 1
            case '-*'
            case '*'
                if contains -- (string join ' ' $found $word) 'cleanup' 'compose' 'compose install' 'compose tree' 'db' 'db diff' 'db list' 'deploy' 'doctor' 'install' 'refresh-md' 'rollback' 'schema' 'status' 'uninstall' 'remove'
                    set -a found $word
                end
        end
    end
    test "$found" = "$argv"
end

function __apt_ostree_packages
    set -l word (commandline -ct | string replace -r '^--[a-z-]+=' '')
    switch $word
        case ''
        case './*' '*/*'
            __fish_complete_path $word
        case '*'
            apt-cache --no-generate pkgnames $word 2>/dev/null; or apt-cache pkgnames $word 2>/dev/null
    end
end

# Words that only the program knows; it takes the line as bash would give it.
function __apt_ostree_ask
    set -l before (commandline -opc)
    set -l word (commandline -ct | string replace -r '^--[a-z-]+=' '')
    env COMP_WORDS="$before $word" COMP_CWORD=(count $before) _APT_OSTREE_COMPLETE=complete_bash apt-ostree 2>/dev/null
end

complete -c apt-ostree -f
complete -c apt-ostree -l color -x -a 'auto always never' -d 'When to use colours.'
complete -c apt-ostree -l progress -x -a 'auto plain json none' -d 'How to show progress on standard error.'
complete -c apt-ostree -s q -l quiet -d 'Say nothing but answers, warnings and errors.'
complete -c apt-ostree -l sysroot -x -a '(__fish_complete_directories)' -d 'Work on the system below DIR.'
complete -c apt-ostree -s v -l verbose -d 'Say more; twice: every program that is run.'
complete -c apt-ostree -l version -d 'Show the version and exit.'
complete -c apt-ostree -s h -l help -d 'Show this help and exit.'
complete -c apt-ostree -n __apt_ostree_at -a cleanup -d 'Remove what is no longer needed and say how much space that gave.'
complete -c apt-ostree -n __apt_ostree_at -a compose -d 'Make trees in a repository.'
complete -c apt-ostree -n __apt_ostree_at -a db -d 'Look at the packages of commits.'
complete -c apt-ostree -n __apt_ostree_at -a deploy -d 'Deploy one commit of the base.'
complete -c apt-ostree -n __apt_ostree_at -a doctor -d 'Look whether everything is right for a change.'
complete -c apt-ostree -n __apt_ostree_at -a install -d 'Layer packages on top of the base system.'
complete -c apt-ostree -n __apt_ostree_at -a refresh-md -d 'Download the lists of available packages.'
complete -c apt-ostree -n __apt_ostree_at -a rollback -d 'Boot the previous deployment next time.'
complete -c apt-ostree -n __apt_ostree_at -a schema -d 'Print the JSON Schema of an answer.'
complete -c apt-ostree -n __apt_ostree_at -a status -d 'Show the deployments: what is booted, what boots next, what is layered.'
complete -c apt-ostree -n __apt_ostree_at -a uninstall -d 'Remove layered packages.'
complete -c apt-ostree -n '__apt_ostree_at cleanup' -s b -l base -d 'Remove left-over work directories and unused packages.'
complete -c apt-ostree -n '__apt_ostree_at cleanup' -s n -l dry-run -d 'Show what would be done and change nothing.'
complete -c apt-ostree -n '__apt_ostree_at cleanup' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at cleanup' -l stateroot -l os -x -d 'Work on this stateroot, not on the booted or first one.'
complete -c apt-ostree -n '__apt_ostree_at cleanup' -s p -l pending -d 'Remove the deployment that waits for boot.'
complete -c apt-ostree -n '__apt_ostree_at cleanup' -s m -l repomd -d 'Remove the downloaded lists of packages.'
complete -c apt-ostree -n '__apt_ostree_at cleanup' -s r -l rollback -d 'Remove the rollback deployment.'
complete -c apt-ostree -n '__apt_ostree_at cleanup' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at compose' -a install -d 'Layer packages on a commit of a repository.'
complete -c apt-ostree -n '__apt_ostree_at compose' -a tree -d 'Make a base commit from a treefile.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l allow-inactive -d 'Also accept packages the base has; the request comes alive when the base drops them.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l branch -x -d 'The branch that gets the new commit.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -s C -l cache-only -d 'Use no network, only what was downloaded before.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l disable-repo -x -d 'Leave out one file of sources.list.d, named without its suffix. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -s n -l dry-run -d 'Show what would be done and change nothing.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l idempotent -d 'Requesting what is requested already is no error.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l recommends -l no-recommends -d 'Bring recommended packages along, or do not; a deployment remembers it. At first they come along.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l ref -x -d 'The commit to layer on: a ref or a checksum.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l repo -x -a '(__fish_complete_directories)' -d 'The OSTree repository to work in.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l script-timeout -x -d 'End a package\'s script that runs longer; 600 if not given, 0 for no limit.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at compose install' -a '(__apt_ostree_packages)'
complete -c apt-ostree -n '__apt_ostree_at compose tree' -s n -l dry-run -d 'Show what would be done and change nothing.'
complete -c apt-ostree -n '__apt_ostree_at compose tree' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at compose tree' -l repo -x -a '(__fish_complete_directories)' -d 'The OSTree repository to work in.'
complete -c apt-ostree -n '__apt_ostree_at compose tree' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at compose tree' -F
complete -c apt-ostree -n '__apt_ostree_at db' -a diff -d 'Compare the packages of two commits.'
complete -c apt-ostree -n '__apt_ostree_at db' -a list -d 'List the packages of a commit.'
complete -c apt-ostree -n '__apt_ostree_at db diff' -l format -x -a 'block diff json' -d 'By kind of change, one line a package, or JSON as --json.'
complete -c apt-ostree -n '__apt_ostree_at db diff' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at db diff' -l repo -x -a '(__fish_complete_directories)' -d 'Look into this repository, not into the system\'s.'
complete -c apt-ostree -n '__apt_ostree_at db diff' -a '(__apt_ostree_ask)'
complete -c apt-ostree -n '__apt_ostree_at db list' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at db list' -l match -x -d 'Only packages whose name fits a shell pattern. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at db list' -l repo -x -a '(__fish_complete_directories)' -d 'Look into this repository, not into the system\'s.'
complete -c apt-ostree -n '__apt_ostree_at db list' -a '(__apt_ostree_ask)'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l allow-inactive -d 'Also accept packages the base has; the request comes alive when the base drops them.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -s y -l assumeyes -d 'Ask nothing, go on.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -s C -l cache-only -d 'Use no network, only what was downloaded before.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l disable-repo -x -d 'Leave out one file of sources.list.d, named without its suffix. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l download-only -d 'Download the packages and stop before anything is changed.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -s n -l dry-run -d 'Show what would be done and change nothing.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l idempotent -d 'Requesting what is requested already is no error.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l install -x -a '(__apt_ostree_packages)' -d 'Install this package in the same change. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l recommends -l no-recommends -d 'Bring recommended packages along, or do not; a deployment remembers it. At first they come along.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l stateroot -l os -x -d 'Work on this stateroot, not on the booted or first one.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -s r -l reboot -d 'Reboot when the change is made.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l script-timeout -x -d 'End a package\'s script that runs longer; 600 if not given, 0 for no limit.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l unchanged-exit-77 -d 'Exit with 77 when there is nothing to do.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l uninstall -x -a '(__apt_ostree_ask)' -d 'Uninstall this package in the same change. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at deploy' -a '(__apt_ostree_ask)'
complete -c apt-ostree -n '__apt_ostree_at doctor' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at install' -l allow-inactive -d 'Also accept packages the base has; the request comes alive when the base drops them.'
complete -c apt-ostree -n '__apt_ostree_at install' -s y -l assumeyes -d 'Ask nothing, go on.'
complete -c apt-ostree -n '__apt_ostree_at install' -s C -l cache-only -d 'Use no network, only what was downloaded before.'
complete -c apt-ostree -n '__apt_ostree_at install' -l disable-repo -x -d 'Leave out one file of sources.list.d, named without its suffix. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at install' -l download-only -d 'Download the packages and stop before anything is changed.'
complete -c apt-ostree -n '__apt_ostree_at install' -s n -l dry-run -d 'Show what would be done and change nothing.'
complete -c apt-ostree -n '__apt_ostree_at install' -l idempotent -d 'Requesting what is requested already is no error.'
complete -c apt-ostree -n '__apt_ostree_at install' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at install' -l recommends -l no-recommends -d 'Bring recommended packages along, or do not; a deployment remembers it. At first they come along.'
complete -c apt-ostree -n '__apt_ostree_at install' -l stateroot -l os -x -d 'Work on this stateroot, not on the booted or first one.'
complete -c apt-ostree -n '__apt_ostree_at install' -s r -l reboot -d 'Reboot when the change is made.'
complete -c apt-ostree -n '__apt_ostree_at install' -l script-timeout -x -d 'End a package\'s script that runs longer; 600 if not given, 0 for no limit.'
complete -c apt-ostree -n '__apt_ostree_at install' -l unchanged-exit-77 -d 'Exit with 77 when there is nothing to do.'
complete -c apt-ostree -n '__apt_ostree_at install' -l uninstall -x -a '(__apt_ostree_ask)' -d 'Uninstall this package in the same change. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at install' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at install' -a '(__apt_ostree_packages)'
complete -c apt-ostree -n '__apt_ostree_at refresh-md' -l disable-repo -x -d 'Leave out one file of sources.list.d, named without its suffix. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at refresh-md' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at refresh-md' -l stateroot -l os -x -d 'Work on this stateroot, not on the booted or first one.'
complete -c apt-ostree -n '__apt_ostree_at refresh-md' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at rollback' -s n -l dry-run -d 'Show what would be done and change nothing.'
complete -c apt-ostree -n '__apt_ostree_at rollback' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at rollback' -l stateroot -l os -x -d 'Work on this stateroot, not on the booted or first one.'
complete -c apt-ostree -n '__apt_ostree_at rollback' -s r -l reboot -d 'Reboot when the change is made.'
complete -c apt-ostree -n '__apt_ostree_at rollback' -l unchanged-exit-77 -d 'Exit with 77 when there is nothing to do.'
complete -c apt-ostree -n '__apt_ostree_at rollback' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at schema' -a '(__apt_ostree_ask)'
complete -c apt-ostree -n '__apt_ostree_at status' -s b -l booted -d 'Only the booted deployment.'
complete -c apt-ostree -n '__apt_ostree_at status' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l allow-inactive -d 'Also accept packages the base has; the request comes alive when the base drops them.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -s y -l assumeyes -d 'Ask nothing, go on.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -s C -l cache-only -d 'Use no network, only what was downloaded before.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l disable-repo -x -d 'Leave out one file of sources.list.d, named without its suffix. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l download-only -d 'Download the packages and stop before anything is changed.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -s n -l dry-run -d 'Show what would be done and change nothing.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l idempotent -d 'Requesting what is requested already is no error.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l install -x -a '(__apt_ostree_packages)' -d 'Install this package in the same change. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l recommends -l no-recommends -d 'Bring recommended packages along, or do not; a deployment remembers it. At first they come along.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l stateroot -l os -x -d 'Work on this stateroot, not on the booted or first one.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -s r -l reboot -d 'Reboot when the change is made.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l script-timeout -x -d 'End a package\'s script that runs longer; 600 if not given, 0 for no limit.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l unchanged-exit-77 -d 'Exit with 77 when there is nothing to do.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at uninstall' -a '(__apt_ostree_ask)'
complete -c apt-ostree -n '__apt_ostree_at remove' -l allow-inactive -d 'Also accept packages the base has; the request comes alive when the base drops them.'
complete -c apt-ostree -n '__apt_ostree_at remove' -s y -l assumeyes -d 'Ask nothing, go on.'
complete -c apt-ostree -n '__apt_ostree_at remove' -s C -l cache-only -d 'Use no network, only what was downloaded before.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l disable-repo -x -d 'Leave out one file of sources.list.d, named without its suffix. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l download-only -d 'Download the packages and stop before anything is changed.'
complete -c apt-ostree -n '__apt_ostree_at remove' -s n -l dry-run -d 'Show what would be done and change nothing.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l idempotent -d 'Requesting what is requested already is no error.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l install -x -a '(__apt_ostree_packages)' -d 'Install this package in the same change. May be repeated.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l json -d 'Answer with one JSON object on standard output.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l recommends -l no-recommends -d 'Bring recommended packages along, or do not; a deployment remembers it. At first they come along.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l stateroot -l os -x -d 'Work on this stateroot, not on the booted or first one.'
complete -c apt-ostree -n '__apt_ostree_at remove' -s r -l reboot -d 'Reboot when the change is made.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l script-timeout -x -d 'End a package\'s script that runs longer; 600 if not given, 0 for no limit.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l unchanged-exit-77 -d 'Exit with 77 when there is nothing to do.'
complete -c apt-ostree -n '__apt_ostree_at remove' -l wait -d 'When another transaction runs, wait until it is done, at most SECONDS.'
complete -c apt-ostree -n '__apt_ostree_at remove' -a '(__apt_ostree_ask)'
