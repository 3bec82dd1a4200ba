"""What administrators do, as verbs with JSON in and out.

The command line calls these verbs in its own process when it owns the state folder, and through the serving process's
private socket when that one does (``admin_socket.py``): the same code either way. Whoever may open the state folder may
use them; the socket has the folder's rights.

One module for each subject; ``verbs.py`` puts them together and names those that may be called.
"""

from counterfoil_server.administration.verbs import LOG, Administration

__all__ = ["LOG", "Administration"]
